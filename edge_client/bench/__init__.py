"""How fast a compiled model judges on this machine, and on what exactly that was measured."""
