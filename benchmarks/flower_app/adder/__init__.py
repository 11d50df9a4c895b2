"""A Flower app of the least work there is: receive the model, add 0.01, send it back, average."""
