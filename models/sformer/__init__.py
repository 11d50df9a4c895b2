"""SFormer, a selective transformer that classifies hyperspectral pixels by the window around each (arXiv 2410.03171)."""
