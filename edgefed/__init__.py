"""EdgeFed: federated learning that ends in a running model at the edge.

The public Python names. Each is loaded when it is first used, so that `import edgefed` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.method import Arrays, LocalResult, Method, RejectedUpdate, SiteData, Unusable, Update
    from protos.errors import EdgeFedError
    from protos.jobs import JobSpec, load_job

_HOMES = {
    "Arrays": "models.method",
    "EdgeFedError": "protos.errors",
    "JobSpec": "protos.jobs",
    "LocalResult": "models.method",
    "Method": "models.method",
    "RejectedUpdate": "models.method",
    "SiteData": "models.method",
    "Unusable": "models.method",
    "Update": "models.method",
    "load_job": "protos.jobs",
}

__all__ = [
    "Arrays",
    "EdgeFedError",
    "JobSpec",
    "LocalResult",
    "Method",
    "RejectedUpdate",
    "SiteData",
    "Unusable",
    "Update",
    "load_job",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return version("edgefed")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgefed' has no attribute {name!r}")
