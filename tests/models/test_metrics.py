import numpy as np
import pytest

from models.metrics import auroc, pixel_auroc


def test_auroc_counts_the_pairs_in_the_right_order_and_ties_by_half():
    scores, truth = np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True])
    assert auroc(scores, truth) == pytest.approx((1 + 0.5 + 1 + 1) / 4)


@pytest.mark.parametrize(("truth", "kind"), [(True, "anomalous"), (False, "normal")])
def test_auroc_is_refused_when_there_is_only_one_kind(truth, kind):
    with pytest.raises(ValueError, match=f"all 3 are {kind}"):
        auroc(np.arange(3.0), np.full(3, truth))


def test_pixel_auroc_runs_over_all_pixels_of_all_images():
    maps, masks = np.array([[[0.0, 1.0]], [[2.0, 3.0]]]), np.array([[[False, False]], [[True, True]]])
    assert pixel_auroc(maps, masks) == 1.0
    with pytest.raises(ValueError, match="do not fit"):
        pixel_auroc(maps, masks[:1])
