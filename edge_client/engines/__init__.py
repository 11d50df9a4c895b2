"""Engines: compiled models for one device, kept under a key of everything that they depend on."""
