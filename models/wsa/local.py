"""The site's half of WSA."""

from __future__ import annotations

from hashlib import file_digest
from importlib import import_module

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.method import Arrays, Declaration, LocalResult, Report, SiteData, Unusable, derive_seed
from models.wsa import head
from models.wsa.first_round import published_projection, sums_arrays
from models.wsa.history import added
from models.wsa.networks import NETWORKS
from models.wsa.pixels import examples, labelled_scenes, noise_of, sums_of
from models.wsa.published import trained_rounds, weights_of
from models.wsa.regulariser import ScopeRegulariser
from models.wsa.scope import scopes_of
from models.wsa.settings import Settings
from models.wsa.target import target_of
from models.wsa.training import slowed, train

_AT_ONCE = 256  # windows
_MOST_THREADS = 4  # the tensors are small, and the machine has a line to run besides


def declare(settings: Settings, data: SiteData) -> Declaration:
    """What decides whether this site's weights can be averaged with others'.

    Raises:
        Unusable: the site's scenes do not fit the job; the message says how.
    """
    bands = labelled_scenes(settings, data)[0].bands
    declared = {
        "network": settings.network,
        "bands": str(bands),
        "classes": str(len(settings.classes)),
        "update_bytes": str(update_bytes(settings, bands, data)),
    }
    reference = settings.alignment.reference
    if reference is not None and reference in data.weights:
        with data.weights[reference].open("rb") as file:
            declared["reference_sha256"] = file_digest(file, "sha256").hexdigest()
    return declared


def local_update(
    settings: Settings, data: SiteData, previous: Arrays | None, state: Arrays, seed: int, report: Report
) -> LocalResult:
    """One round at a site: training, but for the first round and those that fit the last layer, which add up sums.

    Raises:
        Unusable: the site's scenes do not fit the job.
    """
    scenes = labelled_scenes(settings, data)
    if previous is None:
        sums = sums_of(scenes)
        noise = noise_of(scenes) if settings.bands.order == "noise" else None
        return LocalResult(sums_arrays(sums, noise), float(sums.count), {}, {"pixels": float(sums.count)})
    torch.set_num_threads(min(_MOST_THREADS, torch.get_num_threads()))
    windows, labels = examples(scenes, published_projection(previous), NETWORKS[settings.network].window)
    network = first_network(settings, windows.shape[1], data)
    target = target_of(settings.alignment, arrays_of(network), previous, data)
    load(network, weights_of(previous))
    metrics = {"pixels": float(len(labels))}
    if head.is_next(settings, previous):
        features = head_features(network, NETWORKS[settings.network].head, windows)
        return LocalResult(head.sums_of(features, labels, len(settings.classes)), float(len(labels)), state, metrics)
    regulariser = None if target is None else ScopeRegulariser(network, target, settings.alignment.strength)
    recipe = slowed(settings.training, trained_rounds(previous))
    loss = train(network, windows, labels, recipe, regulariser, derive_seed(seed, "training"), report)
    metrics |= {"loss": loss, "aligned": float(target is not None)}
    if regulariser is not None:
        metrics["divergence"] = regulariser.penalty()
    trained = arrays_of(network)
    return LocalResult(trained, float(len(labels)), added(state, previous, scopes_of(trained)), metrics)


@torch.inference_mode()
def head_features(network: nn.Module, layer: str, windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, d) what a layer of a network is given for windows (n, c, s, s)."""
    given: list[NDArray[np.float64]] = []
    hook = network.get_submodule(layer).register_forward_pre_hook(
        lambda module, inputs: given.append(inputs[0].double().numpy())
    )
    network.eval()
    for start in range(0, len(windows), _AT_ONCE):
        network(torch.from_numpy(windows[start : start + _AT_ONCE]))
    hook.remove()
    return np.concatenate(given)


def update_bytes(settings: Settings, bands: int, data: SiteData) -> int:
    """What the tensors of a site's update take in every round that trains; a header of some KB comes on top.

    Args:
        settings: of the job.
        bands: of the site's cubes, as the job sees them.
        data: of the site, for its weights files.
    """
    network = first_network(settings, settings.bands.components or bands, data)
    return sum(array.nbytes for array in arrays_of(network).values())


def first_network(settings: Settings, bands: int, data: SiteData) -> nn.Module:
    """The network that every site starts from, equal at all of them."""
    torch.manual_seed(settings.init_seed)
    module, _, function = NETWORKS[settings.network].builder.partition(":")
    network: nn.Module = getattr(import_module(module), function)(bands, len(settings.classes), data.weights)
    return network


def arrays_of(network: nn.Module) -> dict[str, NDArray[np.generic]]:
    """The network's floating tensors, statistics of normalisation included; the mean of counters means nothing."""
    state = network.state_dict()
    return {name: value.detach().numpy().copy() for name, value in state.items() if value.is_floating_point()}


def load(network: nn.Module, weights: Arrays | None) -> None:
    """Puts weights that a coordinator averaged into a network. Raises `Unusable` where they are another network's."""
    if weights is None:
        return
    fits = {name for name, value in network.state_dict().items() if value.is_floating_point()}
    if odd := sorted(fits ^ set(weights)):
        raise Unusable(f"the model is of another network: {', '.join(odd[:5])} are in one of them only")
    try:
        network.load_state_dict({name: torch.from_numpy(weights[name].copy()) for name in weights}, strict=False)
    except RuntimeError as error:
        raise Unusable(f"the model is of another network: {error}") from error
