"""Reading cores, limits and disks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from edge_client.threads import VARIABLE
from edgefed.doctor.machine import Cpu, Disk

_BOUNDS = (VARIABLE, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def read_cpu(cgroup: Path = Path("/sys/fs/cgroup")) -> Cpu:
    """What computes here."""
    import numpy  # noqa: F401  # brings the BLAS that is asked for its threads
    from threadpoolctl import threadpool_info

    return Cpu(
        cores=len(os.sched_getaffinity(0)),
        quota=_quota(cgroup),
        blas=tuple(f"{found['internal_api']} {found['num_threads']}" for found in threadpool_info()),
        environment={name: os.environ[name] for name in _BOUNDS if name in os.environ},
    )


def _quota(cgroup: Path) -> float | None:
    try:
        granted, _, period = (cgroup / "cpu.max").read_text().partition(" ")
        return int(granted) / int(period)
    except (OSError, ValueError):  # no limit is the word "max"
        return None


def read_disk(folder: Path) -> Disk:
    """Room where a folder lies, or would."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    usage = shutil.disk_usage(there)
    return Disk(there, usage.free, usage.total)
