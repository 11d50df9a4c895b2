"""Which layers are kept in float, from their errors."""

from __future__ import annotations

import numpy as np
import pytest

from edge_client.prove.sensitivity import blocks, map_error, to_keep


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [(1, [1]), (2, [2]), (3, [3]), (5, [2, 3]), (33, [2] * 15 + [3]), (49, [3] * 15 + [4]), (53, [3] * 17 + [2])],
)
def test_blocks_cover_all_layers_in_order(layers: int, sizes: list[int]) -> None:
    found = blocks(layers)
    assert [number for block in found for number in block] == list(range(layers))
    assert len(found) <= 24
    if layers > 1:
        assert min(len(block) for block in found) >= 2


def test_the_fewest_blocks_are_kept_that_bring_the_rest_within_the_budget() -> None:
    errors = [0.4, 0.03, 0.3, 0.04]
    assert to_keep(errors, 0.51) == ()
    assert to_keep(errors, 0.31) == (0,)
    assert to_keep(errors, 0.05) == (0, 2)
    assert to_keep(errors, 0.001) == (0, 1, 2, 3)


def test_errors_within_the_budget_keep_nothing() -> None:
    assert to_keep([0.0, 0.0], 0.1) == ()


def test_map_error_is_relative_to_how_much_maps_vary() -> None:
    maps = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    assert map_error(maps, maps) == 0
    assert map_error(maps, maps + maps.std()) == pytest.approx(1)
