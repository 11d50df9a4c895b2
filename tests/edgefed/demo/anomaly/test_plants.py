"""The demo's split: counts, disjointness, and the same cells for the same seed."""

from pathlib import Path

import pytest

from edgefed.demo.anomaly.plants import (
    TEST_PER_TYPE_AND_CLASS,
    Cell,
    Split,
    _check_disjoint,
    deal,
    load_cells,
    write_folders,
)


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    return load_cells()


def test_package_holds_all_cells(cells: list[Cell]) -> None:
    assert len(cells) == 2624
    assert {cell.type for cell in cells} == {"mono", "poly"}
    assert sorted({cell.probability for cell in cells}) == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=0.01)


def test_plants_hold_functional_cells_of_their_types(cells: list[Cell]) -> None:
    split = deal(cells, seed=3)
    held = {site: sorted({(c.type, c.probability) for c in plant}) for site, plant in split.train.items()}
    assert held == {"plant-a": [("mono", 0)], "plant-b": [("poly", 0)], "plant-c": [("mono", 0), ("poly", 0)]}
    assert {site: len(plant) for site, plant in split.train.items()} == {"plant-a": 270, "plant-b": 270, "plant-c": 60}
    assert len(split.test) == 4 * TEST_PER_TYPE_AND_CLASS


@pytest.mark.parametrize("seed", range(5))
def test_no_cell_is_in_two_places(cells: list[Cell], seed: int) -> None:
    split = deal(cells, seed)
    places = [cell.path for plant in split.train.values() for cell in plant] + [cell.path for cell in split.test]
    assert len(set(places)) == len(places) == 1200


def test_overlapping_split_is_refused(cells: list[Cell]) -> None:
    with pytest.raises(AssertionError):
        _check_disjoint(Split({"plant-a": cells[:2]}, cells[1:3], 0))


def test_split_depends_on_the_seed_alone(cells: list[Cell]) -> None:
    assert deal(cells, 1).digest() == deal(list(reversed(cells)), 1).digest() != deal(cells, 2).digest()


def test_folders_are_in_mvtec_layout(cells: list[Cell], tmp_path: Path) -> None:
    split = deal(cells, 0)
    sites, test = write_folders(split, tmp_path)
    assert {site: len(list((folder / "train/good").iterdir())) for site, folder in sites.items()} == {
        "plant-a": 270,
        "plant-b": 270,
        "plant-c": 60,
    }
    for kind in ("mono", "poly"):
        for label in ("good", "defective"):
            assert len(list((test / kind / "test" / label).iterdir())) == TEST_PER_TYPE_AND_CLASS
