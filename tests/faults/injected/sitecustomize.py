"""Loaded by every Python process that has this folder on its path: installs what a trial asks for, and nothing else."""

import os

if "EDGEFED_TEST_STRIKES" in os.environ:
    import strikes

    strikes.install()
if "EDGEFED_TEST_DISK" in os.environ:
    import disk

    disk.install()
