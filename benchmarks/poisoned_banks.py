"""FedDyMem with 3 poisoned sites of 10 on real solar cells (`elpv-dataset`): rules × attacks.

Features, banks, aggregation and score are the method's own, one round, generator off. Ten sites have 24 functional
monocrystalline cells each. A poisoned site sends 256 rows of its own making, and all of them pass the coordinator's
check of single banks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.image_files import ImageFiles
from edgefed.demo.anomaly.plants import Cell, load_cells
from edgefed.labelled_set import silent
from models.backbones.registry import weights_file
from models.feature_cache import cached_features
from models.features import PatchFeatures, extract
from models.feddymem.aggregate import aggregate, check
from models.feddymem.bank import first_bank
from models.feddymem.scorer import Scorer
from models.feddymem.settings import Aggregation, Features, Settings
from models.feddymem.support import support
from models.kmeans import assign, kmeans
from models.memory import MemoryBank, to_arrays
from models.method import Update, derive_seed
from models.metrics import auroc
from models.reduce import reduce_bank

SITES, BAD = 10, 3
_CELLS, _TEST = 24, 75  # functional cells of a site; test cells of each class
_FEATURES = Features()
_ROWS, _SENT = 512, 256
_NORMAL = 0.99  # share of normal patches that are nearer to the memory than what a poisoned site takes for a defect
_HIDDEN = 0.05  # share, the strangest, of the defective cells' patches that the coordinator lets through
_KNOWN = 16  # strangest patches of a cell that a poisoned site wants to see pass

RULES: Mapping[str, Aggregation] = {
    "k-means": Aggregation(),
    "trim = 0.3": Aggregation(trim=0.3),
    'far = "clip"': Aggregation(assumed_bad=BAD),
    'far = "reject"': Aggregation(assumed_bad=BAD, far="reject"),
}

Patches = NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """What there is with one seed; features (b, 28, 28, 152), patches (n, 152).

    Attributes:
        banks: of the ten sites, all honest; the first three may be poisoned.
        normal: patches of functional cells that are in no bank; the poisoned sites have them.
        defective: patches of defective cells; the poisoned sites have them.
        test: functional and defective cells.
        anomalous: (b,) which of the test cells are defective.
    """

    banks: Sequence[MemoryBank]
    normal: Patches
    defective: Patches
    test: NDArray[np.float16]
    anomalous: NDArray[np.bool_]

    def to_bad_sites(self, patches: Patches) -> NDArray[np.float32]:
        """(n,) distances to the nearest row of the honest banks that the poisoned sites could have sent."""
        return np.sqrt(assign(patches, np.concatenate([bank.rows for bank in self.banks[:BAD]]))[1])

    def looks_defective(self) -> NDArray[np.bool_]:
        """(n,) which patches of defective cells lie farther than nearly all normal ones."""
        return self.to_bad_sites(self.defective) > np.quantile(self.to_bad_sites(self.normal), _NORMAL)


def _random_rows(world: World, rng: np.random.Generator) -> Sequence[Patches]:
    rows = rng.standard_normal((BAD, _SENT, world.banks[0].width), np.float32)
    return list(rows / np.linalg.norm(rows, axis=2, keepdims=True))


def _one_row(world: World, rng: np.random.Generator) -> Sequence[Patches]:
    strangest = world.defective[[np.argmax(world.to_bad_sites(world.defective))]]
    return [np.repeat(strangest, _SENT, axis=0)] * BAD


def _defects(world: World, rng: np.random.Generator) -> Sequence[Patches]:
    return _banks_of(world.defective[world.looks_defective()], rng)


def _hidden_defects(world: World, rng: np.random.Generator) -> Sequence[Patches]:
    """The strangest that the coordinator lets through; the poisoned sites know its rule and all honest banks."""
    distances = world.to_bad_sites(world.defective)
    within = distances <= support(world.banks, BAD).reach
    return _banks_of(world.defective[within & (distances >= np.quantile(distances[within], 1 - _HIDDEN))], rng)


def _known_parts(world: World, rng: np.random.Generator) -> Sequence[Patches]:
    rows = []
    for cell in world.test[world.anomalous]:
        patches = cell.reshape(-1, cell.shape[-1]).astype(np.float32)
        rows.append(patches[np.argsort(-world.to_bad_sites(patches))[:_KNOWN]])
    return _banks_of(np.concatenate(rows), rng)


ATTACKS: Mapping[str, Callable[[World, np.random.Generator], Sequence[Patches]]] = {
    "nobody": lambda world, rng: [bank.rows for bank in world.banks[:BAD]],
    "random rows": _random_rows,
    "one row × 256": _one_row,
    "defects": _defects,
    "hidden defects": _hidden_defects,
    "known parts": _known_parts,
}


def _banks_of(patches: Patches, rng: np.random.Generator) -> Sequence[Patches]:
    return [kmeans(part, _SENT, 0, max_iter=5).centres for part in np.array_split(rng.permutation(patches), BAD)]


def image_auroc(rule: Aggregation, world: World, sent: Sequence[Patches], seed: int) -> tuple[float, Mapping[str, str]]:
    """AUROC of the global memory on the test cells, and what the rule remarks on sites."""
    settings = Settings(aggregation=rule)
    banks = [MemoryBank(rows, np.ones(len(rows), np.float32)) for rows in sent] + list(world.banks[BAD:])
    updates = [Update(f"site-{site}", float(len(bank)), to_arrays(bank)) for site, bank in enumerate(banks)]
    for update in updates:
        check(settings, {"width": str(banks[0].width)}, None, update.arrays)
    made = aggregate(settings, None, updates, seed)
    scores = Scorer(settings.score, made.arrays, {}).score(world.test).image
    return auroc(scores, world.anomalous), made.remarks


def cells_and_features(scratch: Path) -> tuple[list[Cell], NDArray[np.float16]]:
    """All surely functional or defective monocrystalline cells, some polycrystalline ones, and their features."""
    cells = [cell for cell in load_cells() if cell.probability in (0.0, 1.0)]
    poly = [cell for cell in cells if cell.type == "poly"]
    good, bad = ([cell for cell in poly if cell.probability == wanted] for wanted in (0.0, 1.0))
    cells = [cell for cell in cells if cell.type == "mono"] + good[: _TEST + _CELLS] + bad[:_TEST]
    network = PatchFeatures(_FEATURES.backbone, _FEATURES.stages, weights_file(_FEATURES.backbone, {}))

    def extracted(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float16]:
        return extract(network, images, _FEATURES.image_size)

    files, width = ImageFiles([cell.path for cell in cells]), sum(network.widths)
    cache = cached_features(files, extracted, width, scratch, f"{_FEATURES} poisoned", silent)
    return cells, np.concatenate([block for _, block in cache.blocks()])


def world_of(cells: Sequence[Cell], features: NDArray[np.float16], seed: int) -> World:
    """Deals monocrystalline cells out to the sites, the poisoned sites and the test; every cell is in one place."""
    good, bad = _piles(cells, "mono", seed)
    sites = [good[_TEST + i * _CELLS : _TEST + (i + 1) * _CELLS] for i in range(SITES)]
    return World(
        banks=[_bank(_patches(features, own), derive_seed(seed, index)) for index, own in enumerate(sites)],
        normal=_patches(features, good[_TEST + SITES * _CELLS :][: BAD * _CELLS]),
        defective=_patches(features, bad[_TEST:][: BAD * _CELLS]),
        test=features[good[:_TEST] + bad[:_TEST]],
        anomalous=np.arange(2 * _TEST) >= _TEST,
    )


def other_product(world: World, cells: Sequence[Cell], features: NDArray[np.float16], seed: int) -> World:
    """The same world, but the last site makes polycrystalline cells, and they are what is judged."""
    good, bad = _piles(cells, "poly", seed)
    bank = _bank(_patches(features, good[_TEST:]), derive_seed(seed, SITES))
    return replace(world, banks=[*world.banks[:-1], bank], test=features[good[:_TEST] + bad[:_TEST]])


def _piles(cells: Sequence[Cell], kind: str, seed: int) -> Sequence[list[int]]:
    piles = [[i for i, c in enumerate(cells) if (c.type, c.probability) == (kind, defect)] for defect in (0.0, 1.0)]
    for pile in piles:
        random.Random(seed).shuffle(pile)
    return piles


def _patches(features: NDArray[np.float16], cells: Sequence[int]) -> Patches:
    return features[cells].reshape(-1, features.shape[-1]).astype(np.float32)


def _bank(patches: Patches, seed: int) -> MemoryBank:
    return reduce_bank(first_bank(patches, _ROWS, seed), _SENT, seed)
