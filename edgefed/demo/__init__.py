"""The demonstration: real data, real processes, one report."""
