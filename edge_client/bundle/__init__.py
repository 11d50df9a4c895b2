"""A compiled model as a folder or a tar file: everything that it runs with, under one list of digests."""
