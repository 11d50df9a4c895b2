"""FedDyMem, reconstructed after the abstract of arXiv 2502.21012: sites exchange memory banks, never weights."""
