"""Compiling: from an installed model to a bundle that runs without torch."""
