"""SFormer, a selective transformer that tells the class of a pixel by the window around it (arXiv 2410.03171)."""
