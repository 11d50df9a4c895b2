"""HyperSIGMA (TPAMI 2025, arXiv 2406.11519): a spatial and a spectral vision transformer, and a head for each task."""
