"""EdgeFed: federated learning that ends in a running model at the edge."""
