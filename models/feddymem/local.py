"""The site's half of FedDyMem: features, generator, bank, memory-reduce."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.backbones.registry import weights_file
from models.feature_cache import FeatureCache, cached_features
from models.features import PatchFeatures, extract, stage_widths
from models.feddymem.bank import first_bank, patches_for, remake_bank
from models.feddymem.generator import MemoryGenerator, generator_from_arrays, generator_to_arrays
from models.feddymem.holdout import split
from models.feddymem.scorer import Scorer
from models.feddymem.settings import Settings
from models.feddymem.training import train_generator
from models.memory import MemoryBank, from_arrays, to_arrays
from models.method import Arrays, Declaration, LocalResult, Report, SiteData, derive_seed
from models.reduce import reduce_bank

_MOST_THREADS = 4  # the tensors are small, and the machine has a line to run besides


def declare(settings: Settings, data: SiteData) -> Declaration:
    """What decides whether this site's features are those of the others.

    Raises:
        Unusable: there is no image, or no weights file that fits the backbone.
    """
    split(data, settings.score.holdout)
    chosen, path = settings.features, weights_file(settings.features.backbone, data.weights)
    features = PatchFeatures(chosen.backbone, chosen.stages, path)
    return {
        "backbone": chosen.backbone,
        "backbone_sha256": _sha256(path),
        "stages": " ".join(chosen.stages),
        "image_size": str(chosen.image_size),
        "width": str(sum(features.widths)),
    }


def local_update(
    settings: Settings, data: SiteData, previous: Arrays | None, state: Arrays, seed: int, report: Report
) -> LocalResult:
    """One round at a site: trains the generator, re-makes the bank through it, reduces the bank for upload.

    Raises:
        Unusable: there is no image, or no weights file that fits the backbone.
    """
    torch.set_num_threads(min(_MOST_THREADS, torch.get_num_threads()))
    training, held = split(data, settings.score.holdout)
    cache = _features(settings, data, report)
    patches = cache.sample_patches(training, patches_for(settings.memory.rows), np.random.default_rng(seed))
    generator, loss = _generator(settings, patches, previous, state, derive_seed(seed, "generator"), report)
    bank = _kept_bank(state) or first_bank(patches, settings.memory.rows, derive_seed(seed, "bank"))
    if settings.memory.dynamic:
        bank = remake_bank(bank.rows, _training_patches(cache, training), generator, settings.memory.momentum)
    sent = bank
    if settings.memory.reduce:
        sent = reduce_bank(bank, settings.memory.upload_rows, derive_seed(seed, "reduce"))
    metrics = {
        "loss": loss,
        "images": float(len(training)),
        "held_out": float(len(held)),
        "rows": float(len(sent)),
        "generator_active": float(generator is not None and bool(generator.residual.weight.any())),
    }
    kept = {**to_arrays(bank), **generator_to_arrays(generator)}
    return LocalResult(to_arrays(sent), float(len(sent)), kept, metrics)


def install(
    settings: Settings, data: SiteData, final: Arrays, state: Arrays, seed: int, report: Report
) -> dict[str, NDArray[np.generic]]:
    """The site's generator, and "calibration": the scores (n,) float32 of its n held-out normals, which may be 0.

    Raises:
        Unusable: there is no image, or no weights file that fits the backbone.
    """
    torch.set_num_threads(min(_MOST_THREADS, torch.get_num_threads()))
    _, held = split(data, settings.score.holdout)
    local = {name: np.array(array) for name, array in state.items() if name.startswith("generator.")}
    scorer = Scorer(settings.score, final, local)
    scores = [np.empty(0, np.float32)]
    for indices, block in _features(settings, data, report).blocks():
        chosen = np.isin(indices, held)
        if chosen.any():
            scores.append(scorer.score(block[chosen]).image)
    return {**local, "calibration": np.concatenate(scores)}


def _features(settings: Settings, data: SiteData, report: Report) -> FeatureCache:
    chosen = settings.features
    path = weights_file(chosen.backbone, data.weights)
    key = f"{data.fingerprint}/{_sha256(path)}/{chosen}"

    @lru_cache
    def network() -> PatchFeatures:  # made for the first image that is not in the cache, if there is one
        return PatchFeatures(chosen.backbone, chosen.stages, path)

    def features(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float16]:
        return extract(network(), images, chosen.image_size)

    return cached_features(data.samples, features, sum(_widths(settings)), data.scratch, key, report)


def _kept_bank(state: Arrays) -> MemoryBank | None:
    kept = {name: state[name] for name in ("rows", "counts") if name in state}
    return from_arrays(kept) if kept else None


def _generator(
    settings: Settings,
    patches: NDArray[np.float32],
    previous: Arrays | None,
    state: Arrays,
    seed: int,
    report: Report,
) -> tuple[MemoryGenerator | None, float]:
    """The generator and its loss. It learns towards the global memory, so in a first round it is the identity."""
    chosen = settings.generator
    if not chosen.enabled:
        return None, 0.0
    generator = generator_from_arrays(state) or MemoryGenerator(_widths(settings)).eval()
    if previous is None or not chosen.metric_loss:
        return generator, 0.0
    return train_generator(generator, patches, from_arrays(previous).rows, chosen, seed, report)


def _training_patches(cache: FeatureCache, training: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    for indices, block in cache.blocks():
        chosen = block[np.isin(indices, training)]
        if len(chosen):
            yield chosen.reshape(-1, block.shape[-1]).astype(np.float32)


def _widths(settings: Settings) -> tuple[int, ...]:
    return stage_widths(settings.features.backbone, settings.features.stages)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
