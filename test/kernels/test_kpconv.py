# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled pieces of KPConv against NumPy; their sum is tested with the layers."""

import numpy as np
import pytest

from kpconv_ros.kernels.kpconv import (
    Entries,
    find_influences,
    gather_weighted,
    influence_gradient,
    max_rows,
    nearest_neighbor_of_kernels,
    scatter_max,
    scatter_weighted,
)

NUM_KERNELS, CHANNELS, NUM_SUPPORTS = 4, 5, 30
GENERATOR = np.random.default_rng(0)


@pytest.fixture
def entries() -> Entries:
    """Random influences of six queries, the third of which has none."""
    counts = np.array([3, 7, 0, 1, 12, 5])
    starts = np.concatenate([[0], counts.cumsum()])
    kernels = GENERATOR.integers(0, NUM_KERNELS, starts[-1]).astype(np.uint8)
    columns = GENERATOR.integers(0, NUM_SUPPORTS, starts[-1]).astype(np.int32)
    return Entries(starts, kernels, columns, GENERATOR.uniform(0.1, 1, starts[-1]).astype(np.float32))


def dense(entries: Entries) -> np.ndarray:
    """Return the influences as a matrix (M, K, N)."""
    matrix = np.zeros((len(entries.starts) - 1, NUM_KERNELS, NUM_SUPPORTS))
    queries = np.repeat(np.arange(len(matrix)), np.diff(entries.starts))
    np.add.at(matrix, (queries, entries.kernels, entries.columns), entries.weights)
    return matrix


def test_gathering_is_a_product_with_the_influences(entries: Entries) -> None:
    features = GENERATOR.normal(size=(NUM_SUPPORTS, CHANNELS)).astype(np.float32)
    out = np.full((4, NUM_KERNELS * CHANNELS), np.nan, np.float32)
    gather_weighted(1, 5, *entries, features, out)
    expected = (dense(entries) @ features).reshape(6, -1)[1:5]
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_scattering_is_the_adjoint_of_gathering(entries: Entries) -> None:
    gradient = GENERATOR.normal(size=(6, NUM_KERNELS * CHANNELS)).astype(np.float32)
    out = np.zeros((NUM_SUPPORTS, CHANNELS), np.float32)
    scatter_weighted(0, 3, *entries, gradient[:3], out)
    scatter_weighted(3, 6, *entries, gradient[3:], out)
    expected = np.einsum("mkn,mkc->nc", dense(entries), gradient.reshape(6, NUM_KERNELS, CHANNELS))
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_the_derivative_by_an_influence_is_an_inner_product(entries: Entries) -> None:
    features = GENERATOR.normal(size=(NUM_SUPPORTS, CHANNELS)).astype(np.float32)
    gradient = GENERATOR.normal(size=(6, NUM_KERNELS * CHANNELS)).astype(np.float32)
    out = np.zeros(len(entries.weights), np.float32)
    influence_gradient(0, 6, *entries[:3], gradient, features, out)
    queries = np.repeat(np.arange(6), np.diff(entries.starts))
    chosen = gradient.reshape(6, NUM_KERNELS, CHANNELS)[queries, entries.kernels]
    np.testing.assert_allclose(out, (chosen * features[entries.columns]).sum(1), atol=1e-5)


@pytest.mark.parametrize("deformed", [False, True])
def test_influences_are_those_of_the_definition(deformed: bool) -> None:
    num_queries, sigma = 2500, 0.3  # enough queries for two threads
    queries, supports = (GENERATOR.uniform(0, 1, (n, 3)).astype(np.float32) for n in (num_queries, NUM_SUPPORTS))
    points = GENERATOR.normal(0, 0.3, (num_queries if deformed else 1, NUM_KERNELS, 3)).astype(np.float32)
    starts = np.arange(num_queries + 1, dtype=np.int32) * NUM_SUPPORTS
    columns = np.tile(np.arange(NUM_SUPPORTS, dtype=np.int32), num_queries)
    entries = find_influences(queries, supports, starts, columns, points, sigma)
    assert len(entries.starts) == num_queries + 1 and entries.weights.min() >= 0 and entries.weights.max() <= 1
    offsets = supports[None, None] - queries[:, None, None] - points[:, :, None]  # (M, K, N, 3)
    expected = np.maximum(1 - np.linalg.norm(offsets, axis=3) / sigma, 0)
    np.testing.assert_allclose(dense(entries), expected, atol=1e-5)


def test_max_pooling_gives_winners_and_their_gradient() -> None:
    features = np.array([[-1.0, 5], [-3, 2], [-2, 9]], np.float32)
    starts, columns = np.array([0, 2, 2, 3], np.int32), np.array([1, 0, 2], np.int32)
    out, winners = np.empty((3, 2), np.float32), np.empty((3, 2), np.int32)
    max_rows(0, 3, starts, columns, features, out, winners)
    assert out.tolist() == [[-1, 5], [0, 0], [-2, 9]] and winners.tolist() == [[0, 0], [-1, -1], [2, 2]]
    gradient = np.zeros_like(features)
    scatter_max(np.ones((3, 2), np.float32), winners, gradient)
    assert gradient.tolist() == [[1, 1], [0, 0], [1, 1]]


def test_the_neighbor_nearest_to_each_kernel_point_is_found() -> None:
    supports = np.array([[1, 0, 0], [0, 1, 0], [5, 5, 5]], np.float32)
    queries = np.zeros((2, 3), np.float32)
    starts, columns = np.array([0, 2, 2], np.int32), np.array([0, 1], np.int32)
    points = np.array([[[0.9, 0, 0], [0, 3, 0]], [[1, 1, 1], [5, 5, 5]]], np.float32)
    out = np.empty((2, 2), np.int64)
    nearest_neighbor_of_kernels(0, 2, queries, supports, starts, columns, points, out)
    assert out.tolist() == [[0, 1], [-1, -1]]


@pytest.mark.parametrize("num_kernels", [1, 4, 15])
def test_listed_candidates_give_the_influences_of_the_plain_search(
    monkeypatch: pytest.MonkeyPatch, num_kernels: int
) -> None:
    generator = np.random.default_rng(num_kernels)
    queries = generator.uniform(0, 1, (50, 3)).astype(np.float32)
    supports = generator.uniform(0, 1, (200, 3)).astype(np.float32)
    kernel_points = generator.uniform(-0.3, 0.3, (1, num_kernels, 3)).astype(np.float32)
    row_starts = np.arange(0, 50 * 200 + 1, 200, dtype=np.int32)
    columns = np.tile(np.arange(200, dtype=np.int32), 50)
    found = []
    for least in (0, len(columns) + 1):
        monkeypatch.setattr("kpconv_ros.kernels.kpconv.MIN_LISTED", least)
        entries = find_influences(queries, supports, row_starts, columns, kernel_points, 0.2)
        matrix = np.zeros((50, num_kernels, 200))
        rows = np.repeat(np.arange(50), np.diff(entries.starts))
        matrix[rows, entries.kernels, entries.columns] = entries.weights
        found.append(matrix)
    # An entry at sigma itself may be in or out: its weight is 0.
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert (found[0] > 0).sum() > 100
