"""Hyperspectral files of a site: cubes, labels, and maps of what a model found."""
