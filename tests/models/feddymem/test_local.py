from dataclasses import replace

import numpy as np
import pytest

from models.feddymem.detector import Detector
from models.feddymem.method import FEDDYMEM
from models.feddymem.settings import Features, Generator, Memory, Score, Settings
from models.method import Unusable, Update
from models.threshold import threshold

SMALL = Settings(
    features=Features(image_size=64),
    memory=Memory(rows=24, upload_rows=12),
    generator=Generator(epochs=2),
    score=Score(holdout=0.25),
)


def _silent(*_: object) -> None:
    pass


def _round(settings, data, previous, state, seed=1):
    result = FEDDYMEM.local_update(settings, data, previous, state, seed, _silent)
    FEDDYMEM.check(settings, FEDDYMEM.declare(settings, data), None, result.update)
    return result


def _same(first, second):
    return {name: array.tobytes() for name, array in first.items()} == {
        name: array.tobytes() for name, array in second.items()
    }


def test_a_site_declares_what_its_features_depend_on(site, textures, lite0):
    declaration = FEDDYMEM.declare(SMALL, site(textures))
    assert declaration["backbone"] == "efficientnet_lite0"
    assert declaration["width"] == "152"
    assert declaration["backbone_sha256"].startswith(lite0.stem.rpartition("-")[2])


def test_only_a_reduced_bank_leaves_the_site(site, textures):
    data = site(textures)
    first = _round(SMALL, data, None, {})
    second = _round(SMALL, data, first.update, first.state)
    for result in (first, second):
        assert set(result.update) == {"rows", "counts"}
        assert result.update["rows"].shape == (12, 152)
        assert result.weight == 12
    assert {name for name in second.state if name.startswith("generator.")}
    assert second.metrics["loss"] > 0
    assert (first.metrics["images"], first.metrics["held_out"]) == (9, 3)


def test_a_round_gives_the_same_bytes_when_seed_and_data_are_equal(site, textures):
    one = site(textures, "plant-a")
    two = replace(site(textures, "plant-b"), site="plant-a")  # the same site with its caches elsewhere
    first, second = (_round(SMALL, data, None, {}) for data in (one, two))
    assert _same(first.update, second.update)
    later = [_round(SMALL, data, first.update, first.state, seed=2) for data in (one, two)]
    assert _same(later[0].update, later[1].update)
    assert _same(later[0].state, later[1].state)


def test_the_site_scores_as_its_calibration_did(site, textures, lite0):
    data = site(textures)
    first = _round(SMALL, data, None, {})
    final = FEDDYMEM.aggregate(SMALL, None, [Update("plant-a", first.weight, first.update)], 0).arrays
    second = _round(SMALL, data, final, first.state)
    local = FEDDYMEM.install(SMALL, data, final, second.state, 0, _silent)
    assert local["calibration"].shape == (3,)
    scores = Detector(SMALL, lite0, final, local).score(textures)
    assert scores.image.shape == (12,)
    assert scores.map.shape == (12, 8, 8)
    for score in local["calibration"]:
        assert np.abs(scores.image - score).min() < 2e-3
    assert threshold(local["calibration"], 0.01).rate == 0.25


def test_without_a_generator_nothing_of_one_is_kept(site, textures):
    settings = Settings(features=SMALL.features, memory=SMALL.memory, generator=Generator(enabled=False))
    data = site(textures)
    first = _round(settings, data, None, {})
    second = _round(settings, data, first.update, first.state)
    assert set(second.state) == {"rows", "counts"}


def test_without_the_metric_loss_the_generator_stays_the_identity(site, textures):
    settings = Settings(features=SMALL.features, memory=SMALL.memory, generator=Generator(metric_loss=False))
    data = site(textures)
    first = _round(settings, data, None, {})
    state = _round(settings, data, first.update, first.state).state
    assert not state["generator.weight"].any()


def test_a_static_bank_stays_as_the_first_round_made_it(site, textures):
    settings = Settings(
        features=SMALL.features, memory=Memory(rows=24, upload_rows=12, dynamic=False), generator=SMALL.generator
    )
    data = site(textures)
    first = _round(settings, data, None, {})
    second = _round(settings, data, first.update, first.state)
    assert second.state["rows"].tobytes() == first.state["rows"].tobytes()


def test_the_whole_bank_is_sent_when_memory_reduce_is_off(site, textures):
    settings = Settings(features=SMALL.features, memory=Memory(rows=24, upload_rows=12, reduce=False))
    assert _round(settings, site(textures), None, {}).update["rows"].shape == (24, 152)


def test_one_image_is_enough_to_take_part_but_promises_no_threshold(site, textures):
    data = site(textures[:1])
    result = _round(SMALL, data, None, {})
    local = FEDDYMEM.install(SMALL, data, result.update, result.state, 0, _silent)
    assert local["calibration"].shape == (0,)
    with pytest.raises(ValueError, match="there are 0"):
        threshold(local["calibration"], 0.01)


def test_a_site_without_images_or_weights_is_told_before_the_first_round(site, textures):
    with pytest.raises(Unusable, match="no normal image"):
        FEDDYMEM.declare(SMALL, site([]))
    with pytest.raises(Unusable, match=r"\[backbones\.resnet18\]"):
        FEDDYMEM.declare(Settings(features=Features(backbone="resnet18")), site(textures))


def test_work_stops_at_once_when_the_report_says_so(site, textures):
    def stop(stage, step, steps):
        raise InterruptedError(stage)

    with pytest.raises(InterruptedError, match="features"):
        FEDDYMEM.local_update(SMALL, site(textures), None, {}, 0, stop)


def test_a_detector_refuses_the_memory_of_another_backbone(lite0):
    bank = {"rows": np.ones((2, 99), np.float16), "counts": np.ones(2, np.float32)}
    with pytest.raises(ValueError, match="the memory has 99 features"):
        Detector(SMALL, lite0, bank, {})
