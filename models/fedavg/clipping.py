"""Norm clipping: no site moves the model farther than a bound (Sun et al., 2019, arXiv 1911.07963)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.fedavg.settings import Aggregation
from models.fedavg.stack import Stack


def shortened(stack: Stack, chosen: Aggregation) -> tuple[Stack, dict[str, str]]:
    """The stack with steps over the bound shortened to it, and stale steps by their discount; remarks on sites."""
    scales, remarks = np.array([update.discount for update in stack.updates]), {}
    if chosen.clip_norm is not None or chosen.clip_factor is not None:
        norms = stack.norms()
        bound = chosen.clip_norm if chosen.clip_norm is not None else (chosen.clip_factor or 0) * np.median(norms)
        remarks = {
            site: f"clipped: its step has norm {norm:.3g}, the bound is {bound:.3g}"
            for site, norm in zip(stack.sites, norms, strict=True)
            if norm > bound
        }
        scales *= np.where(norms > bound, bound / np.where(norms > bound, norms, 1.0), 1.0)
    return (stack if (scales == 1).all() else replace(stack, scales=scales.astype(np.float32))), remarks
