import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.cluster import KMeans

from models.kmeans import assign, kmeans, lloyd


def _mixture(n: int, d: int, centres: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, d))
    return (middle[rng.integers(0, centres, n)] + 0.3 * rng.normal(size=(n, d))).astype(np.float32)


def test_two_pairs_give_their_means():
    samples = np.array([[0, 0], [0, 2], [10, 0], [10, 2]], np.float32)
    found = kmeans(samples, 2, seed=3, n_init=4)
    order = np.argsort(found.centres[:, 0])
    np.testing.assert_allclose(found.centres[order], [[0, 1], [10, 1]])
    np.testing.assert_array_equal(found.weights, [2, 2])
    assert found.inertia == pytest.approx(4.0)


def test_a_heavier_sample_draws_its_centre_when_samples_are_weighted():
    samples = np.array([[0.0], [1.0], [100.0]], np.float32)
    found = kmeans(samples, 2, seed=0, n_init=4, sample_weight=np.array([3, 1, 1], np.float32))
    np.testing.assert_allclose(np.sort(found.centres[:, 0]), [0.25, 100.0])
    np.testing.assert_array_equal(np.sort(found.weights), [1, 4])


def test_every_sample_is_its_own_centre_when_there_are_not_more_than_k():
    samples = _mixture(5, 3, 2, 0)
    found = kmeans(samples, 5, seed=0)
    np.testing.assert_array_equal(found.centres, samples)
    assert found.inertia == 0


def test_the_bytes_are_equal_when_the_seed_is_equal():
    samples = _mixture(3000, 16, 20, 0)
    first, second, other = kmeans(samples, 30, 7), kmeans(samples, 30, 7), kmeans(samples, 30, 8)
    assert first.centres.tobytes() == second.centres.tobytes()
    assert first.centres.tobytes() != other.centres.tobytes()


def test_the_inertia_is_that_of_scikit_learn_within_a_percent_on_real_sized_clusters():
    samples = _mixture(6000, 32, 60, 1)
    ours = kmeans(samples, 64, 0, n_init=3, max_iter=50)
    theirs = KMeans(64, n_init=3, max_iter=50, random_state=0).fit(samples)
    assert ours.inertia <= 1.01 * theirs.inertia_


def test_the_steps_are_those_of_scikit_learn_when_the_start_is_the_same():
    samples = _mixture(2000, 8, 10, 2)
    start = samples[:10].copy()
    ours = lloyd(samples, start, np.ones(2000, np.float32), 3)
    theirs = KMeans(10, init=start, n_init=1, max_iter=3, tol=0).fit(samples)
    np.testing.assert_allclose(ours.centres, theirs.cluster_centers_, atol=1e-5)


def test_a_lost_centre_takes_the_farthest_sample():
    samples = np.array([[0.0], [1.0], [2.0], [50.0]], np.float32)
    start = np.array([[1.0], [900.0]], np.float32)  # nothing is near the second
    found = lloyd(samples, start, np.ones(4, np.float32), 10)
    np.testing.assert_allclose(np.sort(found.centres[:, 0]), [1.0, 50.0])


def test_equal_samples_give_one_centre_when_more_are_asked_for():
    found = kmeans(np.ones((50, 4), np.float32), 8, seed=0)
    np.testing.assert_allclose(found.centres, np.ones((len(found.centres), 4)))
    assert found.weights.sum() == 50
    assert (found.weights > 0).all()


@pytest.mark.parametrize(("samples", "k"), [(0, 1), (3, 0)])
def test_k_means_is_refused_when_there_is_nothing_to_group(samples, k):
    with pytest.raises(ValueError, match=f"cannot make {k} centres of {samples} samples"):
        kmeans(np.ones((samples, 2), np.float32), k, 0)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(1, 40).flatmap(
        lambda n: arrays(np.float32, (n, 3), elements=st.floats(-8, 8, width=16, allow_subnormal=False))
    ),
    k=st.integers(1, 12),
    seed=st.integers(0, 5),
)
def test_each_centre_is_the_mean_of_its_samples_whatever_they_are(samples, k, seed):
    found = kmeans(samples, k, seed)
    assert len(np.unique(found.labels)) == len(found.centres) == len(found.weights) <= k
    for index, centre in enumerate(found.centres):
        np.testing.assert_allclose(centre, samples[found.labels == index].mean(axis=0), atol=1e-4)


def test_assignment_is_the_brute_force_one_when_there_are_several_chunks():
    samples, centres = _mixture(5000, 6, 9, 3), _mixture(17, 6, 9, 4)
    labels, distances = assign(samples, centres)
    squared = ((samples[:, None] - centres[None]) ** 2).sum(2)
    np.testing.assert_array_equal(labels, squared.argmin(1))
    np.testing.assert_allclose(distances, squared.min(1), atol=1e-4)


def test_trimmed_steps_leave_out_the_farthest_as_computed_by_hand():
    samples = np.array([[0.0], [2.0], [10.0], [12.0], [1000.0]], np.float32)
    found = kmeans(samples, 2, seed=0, n_init=4, trim=0.2)
    np.testing.assert_allclose(np.sort(found.centres[:, 0]), [1.0, 11.0])
    assert found.labels[4] == -1
    assert found.inertia == pytest.approx(4.0)
    np.testing.assert_array_equal(found.weights, [2, 2])


def test_scattered_samples_take_no_centre_when_they_are_trimmed():
    rng = np.random.default_rng(0)
    wanted, scattered = _mixture(700, 16, 12, 5), (40 * rng.normal(size=(300, 16))).astype(np.float32)
    samples = np.concatenate([wanted, scattered])
    plain, trimmed = (kmeans(samples, 12, 0, n_init=5, trim=trim) for trim in (0.0, 0.3))
    assert np.linalg.norm(plain.centres, axis=1).max() > 20
    assert np.linalg.norm(trimmed.centres, axis=1).max() < 10
    assert (trimmed.labels[700:] == -1).all()


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(4, 40).flatmap(
        lambda n: arrays(np.float32, (n, 3), elements=st.floats(-8, 8, width=16, allow_subnormal=False))
    ),
    k=st.integers(1, 6),
    trim=st.floats(0, 0.6),
)
def test_trimmed_centres_are_means_of_the_samples_that_are_left(samples, k, trim):
    found = kmeans(samples, k, 0, trim=trim)
    if k < len(samples):
        assert (found.labels == -1).sum() == int(trim * len(samples))
    assert found.weights.sum() == (found.labels >= 0).sum()
    for index, centre in enumerate(found.centres):
        np.testing.assert_allclose(centre, samples[found.labels == index].mean(axis=0), atol=1e-4)
