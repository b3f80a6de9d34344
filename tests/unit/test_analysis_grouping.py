"""Finding the number of causes, on invented vectors whose groups are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, silhouette_score

from workeragent.executors.cluster.grouping import UNEXPLAINED, find_groups, mean_silhouette


def blobs(sizes: list[int], *, noise: float = 0.05, dimensions: int = 64, seed: int = 0):
    """Unit vectors round random directions, and the group of each."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(len(sizes), dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    vectors = centres[truth] + chance.normal(scale=noise, size=(len(truth), dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), truth


@pytest.mark.parametrize("sizes", [[30, 20], [40, 30, 20, 10], [12] * 15, [100, 5, 5]])
def test_the_number_of_causes_is_found(sizes):
    vectors, truth = blobs(sizes)
    found = find_groups(vectors)
    assert found.labels.max() + 1 == len(sizes)
    assert adjusted_rand_score(truth, found.labels) > 0.97


def test_causes_come_by_size():
    vectors, _ = blobs([10, 40, 20])
    assert np.bincount(find_groups(vectors).labels).tolist() == [40, 20, 10]


def test_the_same_documents_give_the_same_causes():
    vectors, _ = blobs([30, 30, 30], noise=0.15)
    assert (find_groups(vectors).labels == find_groups(vectors).labels).all()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_a_handful_of_different_documents_is_grouped_by_likeness(count):
    vectors, _ = blobs([1] * count)
    assert sorted(find_groups(vectors).labels) == list(range(count))


@pytest.mark.parametrize("count", [2, 3, 50, 500])
def test_identical_documents_are_one_cause(count):
    vectors, _ = blobs([1])
    assert set(find_groups(np.repeat(vectors, count, axis=0)).labels) == {0}


def test_a_document_sent_many_times_does_not_hide_the_other_causes():
    vectors, _ = blobs([20, 20, 20])
    flooded = np.vstack([vectors, np.repeat(vectors[:1], 400, axis=0)])
    assert find_groups(flooded).labels.max() == 2


def test_outliers_are_set_apart():
    vectors, _ = blobs([40, 40, 40])
    strays = blobs([1, 1, 1], seed=9)[0]
    labels = find_groups(np.vstack([vectors, strays])).labels
    assert (labels[-3:] == UNEXPLAINED).all()
    assert (labels[:-3] != UNEXPLAINED).all()


@pytest.mark.parametrize("seed", range(5))
def test_never_more_than_a_tenth_is_set_apart(seed):
    vectors, _ = blobs([10] * 4 + [1] * 60, noise=0.2, seed=seed)
    assert (find_groups(vectors).labels == UNEXPLAINED).mean() <= 0.1


@pytest.mark.parametrize(("minimum", "maximum"), [(1, 1), (2, 2), (6, 6), (5, 9), (1, 3)])
def test_the_bounds_asked_for_are_kept(minimum, maximum):
    vectors, _ = blobs([30, 30, 30, 30])
    groups = find_groups(vectors, minimum=minimum, maximum=maximum).labels.max() + 1
    assert minimum <= groups <= maximum


def test_vectors_without_any_structure_are_still_all_placed():
    vectors, _ = blobs([1] * 200)
    assert len(find_groups(vectors).labels) == 200


def test_ten_thousand_documents_are_grouped_through_a_sample():
    vectors, truth = blobs([1000] * 10, noise=0.08)
    found = find_groups(vectors)
    assert adjusted_rand_score(truth, found.labels) > 0.97


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 6), st.integers(20, 60), st.integers(0, 1000))
def test_the_silhouette_is_scikit_learns(groups, count, seed):
    chance = np.random.default_rng(seed)
    vectors, _ = blobs([count], noise=0.5, seed=seed)
    labels = np.concatenate([np.arange(groups), chance.integers(0, groups, count - groups)])
    distances = np.maximum(1.0 - vectors @ vectors.T, 0.0)
    np.fill_diagonal(distances, 0.0)
    expected = silhouette_score(distances, labels, metric="precomputed")
    assert mean_silhouette(distances, labels) == pytest.approx(expected, abs=1e-4)
