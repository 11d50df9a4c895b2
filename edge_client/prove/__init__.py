"""Proof that a compiled model decides as the trained one, at every precision, and goes on to on the line."""
