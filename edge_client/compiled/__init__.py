"""Compiled models at work: one interface over the backends that run them, without torch."""
