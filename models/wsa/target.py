"""Which scope a site trains towards in a round."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load_file

from models.method import Arrays, SiteData, Unusable
from models.wsa.published import ACTIVE, TARGET, published_target
from models.wsa.scope import Scopes, scopes_of
from models.wsa.settings import Alignment


def target_of(alignment: Alignment, first: Arrays, previous: Arrays, data: SiteData) -> Scopes | None:
    """The target of a round, or None where the site only trains.

    Args:
        alignment: of the job.
        first: the network that every site starts from.
        previous: the global model.
        data: of the site, for its weights files.

    Raises:
        Unusable: the reference is no weights file of the site, or one of another network.
    """
    always = alignment.mode == "always"
    active = bool(previous[ACTIVE][0]) if ACTIVE in previous else always  # nobody has trained yet
    if not (active and alignment.strength):
        return None
    if alignment.target == "fused" and TARGET in previous:
        return published_target(previous)
    scopes = scopes_of(first)
    if alignment.target == "model":
        return _reference(alignment.reference or "", scopes, data)
    if alignment.target == "fixed":
        zeros = np.zeros(len(scopes.names))
        return Scopes(scopes.names, zeros, zeros + (alignment.fixed_deviation or 0))
    return scopes


def _reference(name: str, own: Scopes, data: SiteData) -> Scopes:
    if name not in data.weights:
        raise Unusable(f"the job aligns to the weights {name!r}, which site.toml does not name; add [backbones.{name}]")
    scopes = scopes_of(load_file(data.weights[name]))
    if scopes.names != own.names:
        odd = sorted(set(scopes.names) ^ set(own.names))[:5]
        raise Unusable(f"the weights {name!r} are of another network: {', '.join(odd)} are in one of them only")
    return scopes
