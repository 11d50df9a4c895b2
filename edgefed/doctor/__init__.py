"""`edgefed doctor`: what this machine, its site and its coordinator lack. Readings are values; checks are functions."""
