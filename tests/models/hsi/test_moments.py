import numpy as np
import pytest

from models.hsi.moments import BandSums, band_sums, from_arrays, to_arrays


def test_sums_of_sites_are_those_of_all_pixels_bit_for_bit() -> None:
    counts = np.random.default_rng(0).integers(0, 65_536, (20_000, 7)).astype(np.uint16)
    whole = band_sums(counts)
    parts = [band_sums(part) for part in (counts[:3], counts[3:9_000], counts[9_000:])]
    for merged in (parts[0] + parts[1] + parts[2], parts[2] + (parts[0] + parts[1])):
        assert merged.count == whole.count and (merged.low, merged.high) == (whole.low, whole.high)
        assert (merged.total == whole.total).all() and (merged.outer == whole.outer).all()


def test_products_of_large_counts_do_not_overflow() -> None:
    sums = band_sums(np.full((1_000, 2), 65_535, np.uint16))
    assert (sums.outer == 1_000 * 65_535**2).all()


def test_sums_survive_the_wire() -> None:
    sums = band_sums(np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32))
    again = from_arrays(to_arrays(sums))
    assert again.count == 50 and (again.outer == sums.outer).all() and again.low == sums.low


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outer": np.zeros((3, 4))}, "shapes"),
        ({"total": np.zeros(4, np.float32)}, "'total' is float32"),
        ({"count": np.zeros(1, np.int64)}, "0 pixels"),
        ({"total": np.full(4, np.nan)}, "NaN"),
        ({"bounds": np.zeros(3)}, "bounds"),
        ({"more": np.zeros(3)}, "more"),
    ],
)
def test_foreign_sums_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    arrays = to_arrays(band_sums(np.ones((5, 4), np.float32)))
    with pytest.raises(ValueError, match=message):
        from_arrays({**arrays, **change})


def test_sums_over_other_bands_are_not_added() -> None:
    with pytest.raises(ValueError, match="3 bands cannot be added to sums over 4"):
        _ = band_sums(np.ones((5, 3))) + band_sums(np.ones((5, 4)))


def test_pixels_with_nan_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        band_sums(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="pixels, bands"):
        band_sums(np.zeros((0, 3)))
    assert isinstance(band_sums(np.ones((1, 3))), BandSums)
