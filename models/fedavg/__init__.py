"""FedAvg: the weighted mean of what the sites send (McMahan et al., 2017)."""
