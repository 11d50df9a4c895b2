"""Maths and networks: memory, k-means, generators, metrics. No network, no clock, no command line."""
