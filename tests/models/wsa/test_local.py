import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import save_file

from models.hsi.moments import band_sums
from models.hsi.neighbours import differences
from models.hsi.projection import fit, fit_against_noise
from models.method import RejectedUpdate, SiteData, Unusable, Update
from models.wsa.first_round import published_projection
from models.wsa.local import arrays_of, first_network
from models.wsa.method import WSA
from models.wsa.published import ACTIVE, PREFIX, ROUND, SPREAD, TARGET, weights_of
from models.wsa.scope import scopes_of
from models.wsa.settings import Alignment, Bands, Settings, Training
from models.wsa.target import target_of
from models.wsa.training import slowed
from tests.models.wsa.conftest import CLASSES

RECIPE = Training(optimiser="sgd", learning_rate=0.05, steps=10, batch=16, weight_decay=0.0)


def _settings(**change: object) -> Settings:
    fields = {"classes": CLASSES, "network": "spectral-mlp", "bands": Bands(components=5), "training": RECIPE}
    return Settings(**{**fields, **change})


def _quiet(stage: str, step: int, steps: int) -> None:
    pass


def _federate(settings: Settings, sites: list[SiteData], rounds: int) -> dict[str, np.ndarray]:
    model = None
    for number in range(rounds):
        updates = []
        for data in sites:
            result = WSA.local_update(settings, data, model, {}, number, _quiet)
            WSA.check(settings, WSA.declare(settings, data), model, result.update)
            updates.append(Update(data.site, result.weight, result.update))
        model = dict(WSA.aggregate(settings, model, updates, number).arrays)
    return model


def test_sites_learn_together_and_the_model_carries_what_judging_needs(make_site):
    sites = [make_site(0), make_site(1)]
    model = _federate(_settings(), sites, 4)
    network = first_network(_settings(), 5, sites[0])
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights_of(model).items()})
    scene = make_site(2).scenes[0]
    labelled = scene.labels > 0
    components = published_projection(model).apply(scene.cube[labelled])
    found = network(torch.from_numpy(components)[..., None, None]).argmax(dim=1).numpy() + 1
    assert (found == scene.labels[labelled]).mean() > 0.95
    assert {TARGET, SPREAD, ACTIVE} < set(model)


def test_the_first_round_fits_the_projection_of_all_sites_pixels_to_the_bit(make_site):
    sites = [make_site(0), make_site(1)]
    model = _federate(_settings(), sites, 1)
    pooled = np.concatenate([site.scenes[0].cube[site.scenes[0].labels > 0] for site in sites])
    assert_array_equal(published_projection(model).matrix, fit(band_sums(pooled), 5).matrix)
    assert weights_of(model) is None


def test_components_against_noise_are_those_of_all_sites_together_to_the_bit(make_site):
    sites = [make_site(0), make_site(1)]
    model = _federate(_settings(bands=Bands(components=5, order="noise")), sites, 1)
    scenes = [site.scenes[0] for site in sites]
    pixels = [np.argwhere(scene.labels > 0) for scene in scenes]
    spectra = [scene.cube[tuple(where.T)] for scene, where in zip(scenes, pixels, strict=True)]
    noise = [differences(scene.cube, where, scene.valid) for scene, where in zip(scenes, pixels, strict=True)]
    expected = fit_against_noise(band_sums(np.concatenate(spectra)), band_sums(np.concatenate(noise)), 5)
    assert_array_equal(published_projection(model).matrix, expected.matrix)


@pytest.mark.parametrize("alignment", [Alignment(mode="always", strength=0.0), Alignment(mode="auto", threshold=10.0)])
def test_without_strength_or_spread_a_job_is_fedavg_to_the_bit(make_site, alignment):
    sites = [make_site(0), make_site(1)]
    plain = _federate(_settings(alignment=Alignment(mode="off")), sites, 3)
    found = _federate(_settings(alignment=alignment), sites, 3)
    for name in weights_of(plain):
        assert_array_equal(found[name].view(np.uint32), plain[name].view(np.uint32))


def test_alignment_brings_the_sites_scopes_together(make_site):
    decays = {"site-0": 0.0, "site-1": 0.5}

    def spread(alignment: Alignment) -> float:
        model = None
        for number in range(4):
            updates = []
            for data in (make_site(0), make_site(1)):
                recipe = Training(optimiser="sgd", learning_rate=0.05, steps=20, weight_decay=decays[data.site])
                settings = _settings(alignment=alignment, training=recipe)
                result = WSA.local_update(settings, data, model, {}, number, _quiet)
                updates.append(Update(data.site, result.weight, result.update))
            model = WSA.aggregate(settings, model, updates, number).arrays
        return float(model[SPREAD].mean())

    assert spread(Alignment(mode="always", strength=10.0)) < 0.7 * spread(Alignment(mode="off"))


def test_a_site_declares_how_many_bytes_its_updates_have_before_the_job_starts(make_site):
    start = _federate(_settings(), [make_site(0)], 1)
    update = WSA.local_update(_settings(), make_site(0), start, {}, 0, _quiet).update
    declared = WSA.declare(_settings(), make_site(0))
    assert int(declared["update_bytes"]) == sum(array.nbytes for array in update.values())


def test_the_learning_rate_falls_along_a_cosine_over_the_rounds_that_the_job_says():
    recipe = Training(learning_rate=1.0, cosine_rounds=4)
    rates = [slowed(recipe, trained).learning_rate for trained in (0, 2, 4, 9)]
    assert rates == pytest.approx([1, 0.5, 0.02, 0.02])
    assert slowed(Training(learning_rate=1.0), 9).learning_rate == 1


def test_a_site_slows_down_with_the_rounds_that_have_trained(make_site):
    slow = _settings(training=Training(optimiser="sgd", learning_rate=0.05, steps=10, cosine_rounds=2))
    model = _federate(slow, [make_site(0)], 3)  # two rounds of training
    assert model[ROUND] == [2]
    update = WSA.local_update(slow, make_site(0), model, {}, 0, _quiet).update
    faster = WSA.local_update(_settings(), make_site(0), model, {}, 0, _quiet).update
    moved, further = (np.abs(one["1.weight"] - model["1.weight"]).mean() for one in (update, faster))
    assert moved < 0.3 * further


def test_the_same_seeds_give_the_same_update(make_site):
    start = _federate(_settings(), [make_site(0)], 1)
    one, two = (WSA.local_update(_settings(), make_site(0), start, {}, 3, _quiet) for _ in range(2))
    for name in one.update:
        assert_array_equal(one.update[name], two.update[name])


def test_targets_are_what_they_are_called(make_site, tmp_path):
    data, settings = make_site(0), _settings()
    first = arrays_of(first_network(settings, 5, data))
    doubled = {name: 2 * array for name, array in first.items()}
    save_file(doubled, tmp_path / "reference.safetensors")
    data = SiteData([], "", {"reference": tmp_path / "reference.safetensors"}, tmp_path, "a", data.scenes)
    start = {PREFIX + "bands.mean": np.zeros(20, np.float32)}

    def deviations(published: dict[str, np.ndarray], **chosen: object) -> np.ndarray:
        return target_of(Alignment(mode="always", **chosen), first, published, data).deviations

    own = scopes_of(first).deviations
    assert_allclose(deviations(start, target="init"), own)
    assert_allclose(deviations(start, target="fused"), own)  # nobody has trained yet
    assert_allclose(deviations(start, target="fixed", fixed_deviation=0.02), 0.02)
    assert_allclose(deviations(start, target="model", reference="reference"), 2 * own)
    after = {**first, TARGET: np.full((len(own), 2), 0.3, np.float32), ACTIVE: np.array([1], np.uint8)}
    assert_allclose(deviations(after, target="fused"), 0.3, rtol=1e-6)


def test_a_reference_that_is_missing_or_of_another_network_is_refused_by_name(make_site, tmp_path):
    alignment = Alignment(mode="always", target="model", reference="base")
    data = make_site(0)
    start = _federate(_settings(), [data], 1)
    with pytest.raises(Unusable, match=r"add \[backbones.base\]"):
        WSA.local_update(_settings(alignment=alignment), data, start, {}, 0, _quiet)
    save_file({"other.weight": np.ones((20, 20), np.float32)}, tmp_path / "other.safetensors")
    data = SiteData([], "", {"base": tmp_path / "other.safetensors"}, tmp_path, "a", data.scenes)
    with pytest.raises(Unusable, match=r"of another network: 1\.weight"):
        WSA.local_update(_settings(alignment=alignment), data, start, {}, 0, _quiet)


def test_sites_with_their_classes_in_another_order_agree_by_name(make_site):
    names = ("corn", "soil", "water")
    scene = make_site(0).scenes[0]
    turned = np.array([0, 2, 3, 1], np.int16)[scene.labels]
    one, two = make_site(0), make_site(0, labels=turned, class_names=names)
    start = _federate(_settings(), [one], 1)
    updates = [WSA.local_update(_settings(), site, start, {}, 0, _quiet).update for site in (one, two)]
    for name in updates[0]:
        assert_array_equal(updates[0][name], updates[1][name])


@pytest.mark.parametrize(
    ("change", "settings", "fault"),
    [
        ({"labels": np.zeros((12, 14), np.int16)}, {}, "fewer than two labelled pixels"),
        ({"class_names": ("soil", "water", "moon")}, {}, "labels of moon, which is no class of the job"),
        ({}, {"network": "sformer-small"}, None),
        ({"wavelengths": None}, {"bands": Bands(wavelengths=(450.0, 550.0))}, "nothing says which"),
        ({}, {"bands": Bands(wavelengths=(450.0, 2000.0))}, "nothing near 1 of the job's 2 wavelengths: 2000 nm"),
    ],
    ids=["no label", "foreign class", "fits", "no wavelengths", "unseen wavelength"],
)
def test_a_site_that_does_not_fit_the_job_is_told_why(make_site, change, settings, fault):
    site = make_site(0, **change)
    if fault is None:
        assert WSA.declare(_settings(**settings), site)["bands"] == "20"
        return
    with pytest.raises(Unusable, match=fault):
        WSA.declare(_settings(**settings), site)


def test_a_scene_smaller_than_a_window_is_refused(make_site):
    site = make_site(0, cube=np.ones((5, 14, 20), np.uint16), labels=np.ones((5, 14), np.int16),
                     valid=np.ones((5, 14), bool))  # fmt: skip
    with pytest.raises(Unusable, match="smaller than a window"):
        WSA.declare(_settings(network="sformer-small"), site)


def test_nan_among_labelled_pixels_is_refused(make_site):
    cube = np.ones((12, 14, 20), np.float32)
    cube[3, 4] = np.nan
    labels = np.ones((12, 14), np.int16)
    with pytest.raises(Unusable, match="NaN or infinity"):
        WSA.local_update(_settings(), make_site(0, cube=cube, labels=labels), None, {}, 0, _quiet)


def test_sites_resample_to_the_jobs_wavelengths(make_site):
    settings = _settings(bands=Bands(components=5, wavelengths=tuple(np.linspace(450, 850, 9).tolist())))
    site = make_site(0)
    assert WSA.declare(settings, site)["bands"] == "9"
    assert len(published_projection(_federate(settings, [site], 1)).mean) == 9


def test_sums_over_other_bands_are_rejected(make_site):
    update = WSA.local_update(_settings(), make_site(0), None, {}, 0, _quiet).update
    with pytest.raises(RejectedUpdate, match="20 bands where the site declared 19"):
        WSA.check(_settings(), {"bands": "19"}, None, update)
    with pytest.raises(RejectedUpdate, match=r"'fc\.weight' is none of the sums"):
        WSA.check(_settings(), {"bands": "20"}, None, {"fc.weight": np.ones(3, np.float32)})
    against_noise = _settings(bands=Bands(components=5, order="noise"))
    with pytest.raises(RejectedUpdate, match="sums over pixels hold"):
        WSA.check(against_noise, {"bands": "20"}, None, update)


def test_sformer_trains_in_a_round(make_site):
    settings = _settings(network="sformer-small", training=Training(batch=64, steps=2, augment=True))
    model = _federate(settings, [make_site(0), make_site(1)], 2)
    assert np.isfinite(model[TARGET]).all()
    assert len(model[SPREAD]) == len(scopes_of(weights_of(model)).names) > 10


def test_a_model_of_another_network_is_refused_by_name(make_site):
    data = make_site(0)
    model = _federate(_settings(), [data], 2)
    with pytest.raises(Unusable, match=r"of another network: .*1\.bias"):
        WSA.local_update(_settings(network="sformer-small"), data, model, {}, 0, _quiet)
