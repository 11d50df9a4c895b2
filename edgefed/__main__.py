"""`python -m edgefed` is the command `edgefed`."""

from edgefed.cli import main

main()
