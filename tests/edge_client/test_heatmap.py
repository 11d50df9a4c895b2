"""What a heat map shows, told by its pixels."""

import numpy as np
import pytest

from edge_client.heatmap import Scale, draw_heatmap

GREEN, RED = (24, 121, 78), (190, 30, 45)
SCALE = Scale(calm=1.0, threshold=2.0)
GREY = np.full((300, 600, 3), 128, np.uint8)


def scores(peak: float) -> np.ndarray:
    """A calm field with one hot patch in the upper left quarter."""
    field = np.full((8, 8), 0.5, np.float32)
    field[2, 2] = peak
    return field


def picture(field: np.ndarray, score: float, image: np.ndarray = GREY) -> np.ndarray:
    """The part of the drawing that shows the image."""
    return np.asarray(draw_heatmap(image, field, score, SCALE))[44:-6, 6:-6]


def test_heat_is_zero_when_calm_half_at_the_threshold_and_one_far_above() -> None:
    assert SCALE.heat(np.array([0.1, 1.0, 2.0, 3.0, 9.0], np.float32)).tolist() == [0, 0, 0.5, 1, 1]


def test_heat_is_finite_when_all_normals_scored_alike() -> None:
    heat = Scale(0.0, 0.0).heat(np.array([0.0, 1.0], np.float32))
    assert heat.tolist() == [0.5, 1]


def test_normal_image_is_untouched_when_nothing_is_hot() -> None:
    assert (picture(scores(0.9), 0.9) == 128).all()


def test_frame_and_banner_carry_the_verdict_in_colour() -> None:
    for score, colour in ((1.9, GREEN), (2.0, GREEN), (2.1, RED)):
        drawn = draw_heatmap(GREY, scores(score), score, SCALE)
        assert drawn.getpixel((0, drawn.height - 1)) == colour
        assert drawn.getpixel((drawn.width // 2, 20)) == colour


def test_only_the_hot_region_is_coloured_and_outlined() -> None:
    drawn = picture(scores(4.0), 4.0).astype(int)
    coloured = np.ptp(drawn, axis=2) > 20
    rows, columns = np.nonzero(coloured)
    assert 300 * 1 / 8 < rows.mean() < 300 * 4 / 8
    assert columns.max() < 600 * 5 / 8
    assert (drawn == 255).all(axis=2).any()  # the outline's white line
    assert (drawn[150:] == 128).all()


def test_the_same_score_has_the_same_colour_when_the_image_holds_a_hotter_one() -> None:
    alone, beside = scores(1.8), scores(1.8)
    beside[6, 6] = 9.0
    centre = int(300 * 2.5 / 8), int(600 * 2.5 / 8)
    assert picture(alone, 1.8)[centre].tolist() == picture(beside, 9.0)[centre].tolist()


@pytest.mark.parametrize(
    ("shape", "size"),
    [((300, 600), (600, 300)), ((10, 20), (512, 256)), ((4000, 2000), (512, 1024)), ((1, 20_000), (1024, 1))],
)
def test_picture_is_scaled_to_be_seen_when_it_is_small_or_large(shape: tuple[int, int], size: tuple[int, int]) -> None:
    drawn = draw_heatmap(np.zeros((*shape, 3), np.uint8), scores(3.0), 3.0, SCALE)
    assert drawn.size == (size[0] + 12, size[1] + 50)


def test_banner_has_room_when_the_image_is_narrow() -> None:
    assert draw_heatmap(np.zeros((600, 30, 3), np.uint8), scores(3.0), 3.0, SCALE).width == 412
