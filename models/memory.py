"""The memory bank: prototype patch features of normal images, and how often each occurred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.method import Arrays


@dataclass(frozen=True, eq=False)
class MemoryBank:
    """Prototypes of normal patches. m is the number of rows, d the feature width.

    Attributes:
        rows: (m, d) float32, finite, m and d at least 1.
        counts: (m,) float32, how many patches each row stands for, finite and more than 0.

    Raises:
        ValueError: on other shapes or values, with the figures.
    """

    rows: NDArray[np.float32]
    counts: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or 0 in self.rows.shape:
            raise ValueError(f"a memory bank needs rows of the shape (m, d); these are {self.rows.shape}")
        if self.counts.shape != self.rows.shape[:1]:
            raise ValueError(f"{len(self.rows)} rows need as many counts; these are {self.counts.shape}")
        if bad := int((~np.isfinite(self.rows)).any(axis=1).sum()):
            raise ValueError(f"{bad} of {len(self.rows)} rows hold NaN or infinity")
        if bad := int((~(np.isfinite(self.counts) & (self.counts > 0))).sum()):
            raise ValueError(f"{bad} of {len(self.counts)} counts are not finite numbers above 0")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        """d, the number of features in a row."""
        return int(self.rows.shape[1])


def to_arrays(bank: MemoryBank) -> dict[str, NDArray[np.generic]]:
    """The bank as it travels: "rows" float16 (AUROC is the same to 0.1 point), "counts" float32."""
    return {"rows": bank.rows.astype(np.float16), "counts": bank.counts.astype(np.float32)}


def from_arrays(arrays: Arrays) -> MemoryBank:
    """The bank in tensors that came over the wire.

    Raises:
        ValueError: a tensor is missing, foreign, of another type, or not a bank.
    """
    rows, counts = _tensor(arrays, "rows", np.float16), _tensor(arrays, "counts", np.float32)
    if foreign := set(arrays) - {"rows", "counts"}:
        shown = ", ".join(repr(name[:60]) for name in sorted(foreign)[:5])
        raise ValueError(f"a memory bank holds rows and counts, not {shown}")
    return MemoryBank(rows.astype(np.float32), counts.astype(np.float32))


def concatenate(banks: list[MemoryBank]) -> MemoryBank:
    """All rows of all banks in the order given. Raises `ValueError` without a bank or with unequal widths."""
    if len({bank.width for bank in banks}) != 1:
        raise ValueError(f"banks of the widths {sorted({bank.width for bank in banks})} cannot be joined")
    return MemoryBank(np.concatenate([b.rows for b in banks]), np.concatenate([b.counts for b in banks]))


def _tensor(arrays: Mapping[str, NDArray[np.generic]], name: str, dtype: type[np.generic]) -> NDArray[np.generic]:
    if name not in arrays:
        raise ValueError(f"the tensor {name!r} is missing")
    if arrays[name].dtype != dtype:
        raise ValueError(f"the tensor {name!r} is {arrays[name].dtype}, not {np.dtype(dtype)}")
    return arrays[name]
