# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbour searches."""

import pytest
import torch
from random_clouds import random_batch
from torch import Tensor

from kpconv_ros.geometry import neighbors
from kpconv_ros.geometry.neighbors import (
    NeighborError,
    NeighborLists,
    find_k_nearest,
    find_nearest,
    find_neighbor_lists,
    find_neighbors,
)
from reference.neighbors import all_distances, brute_radius_sets

Batches = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def batches() -> Batches:
    """Queries and supports of three clouds, one of them without supports."""
    queries, query_lengths = random_batch([90, 20, 60], seed=1)
    supports, support_lengths = random_batch([200, 0, 150], seed=2)
    return queries, supports, query_lengths, support_lengths


def sets_of(lists: NeighborLists) -> list[set[int]]:
    """Return the lists as sets, each entry at most once."""
    starts = lists.row_starts.tolist()
    rows = [lists.columns[a:b].tolist() for a, b in zip(starts[:-1], starts[1:], strict=True)]
    assert all(len(row) == len(set(row)) for row in rows)
    return [set(row) for row in rows]


@pytest.mark.parametrize("radius", [0.05, 0.3, 3.0])
def test_the_lists_are_those_of_all_distances(batches: Batches, radius: float) -> None:
    assert sets_of(find_neighbor_lists(*batches, radius)) == brute_radius_sets(*batches, radius)


def test_the_search_of_any_device_finds_the_same(batches: Batches) -> None:
    queries, supports = batches[0][:90], batches[1][:200]
    for radius in (0.05, 0.3):
        found = (
            search(queries, supports, radius) for search in (neighbors._search_compiled, neighbors._search_chunked)
        )
        one, other = (sets_of(NeighborLists(*lists)) for lists in found)
        assert one == other


def test_enough_queries_for_every_thread_find_the_same() -> None:
    queries, query_lengths = random_batch([5000], size=20.0, seed=1)
    supports, support_lengths = random_batch([3000], size=20.0, seed=2)
    found = sets_of(find_neighbor_lists(queries, supports, query_lengths, support_lengths, 1.0))
    rows = torch.arange(0, 5000, 50)
    expected = brute_radius_sets(queries[rows], supports, torch.tensor([100]), support_lengths, 1.0)
    assert [found[row] for row in rows] == expected


def test_a_support_at_exactly_the_radius_counts() -> None:
    points = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [0.501, 0, 0]])
    lists = find_neighbor_lists(points[:1], points, torch.tensor([1]), torch.tensor([3]), 0.5)
    assert sets_of(lists) == [{0, 1}]


def test_padded_rows_are_nearest_first_and_end_with_the_shadow(batches: Batches) -> None:
    padded, distances = find_neighbors(*batches, 0.3, 8), all_distances(*batches)
    assert padded.shape == (170, 8) and padded.dtype == torch.int64
    for query, row in enumerate(padded):
        near = sorted((float(d), i) for i, d in enumerate(distances[query]) if d <= 0.3)[:8]
        kept = row[row < 350]
        assert row[len(kept) :].eq(350).all() and len(kept) == len(near)
        assert kept.tolist() == [i for _, i in near]


def test_fewer_neighbors_than_asked_for_leave_shadows() -> None:
    points, lengths = random_batch([3], size=0.1)
    padded = find_neighbors(points, points, lengths, lengths, 1.0, 10)
    assert padded[:, 0].tolist() == [0, 1, 2]  # itself
    assert (padded == 3).sum(1).tolist() == [7, 7, 7]


def test_moving_queries_and_supports_together_changes_nothing(batches: Batches) -> None:
    queries, supports, *lengths = batches
    shift = torch.tensor([8.0, -16.0, 4.0])
    queries, supports = (queries * 256).round() / 256, (supports * 256).round() / 256  # the sums stay exact
    here = find_neighbors(queries, supports, *lengths, 0.3, 30).sort(1)[0]
    there = find_neighbors(queries + shift, supports + shift, *lengths, 0.3, 30).sort(1)[0]
    assert here.equal(there)


def test_a_packed_batch_equals_its_clouds_one_by_one(batches: Batches) -> None:
    queries, supports, query_lengths, support_lengths = batches
    together, at, first = sets_of(find_neighbor_lists(*batches, 0.3)), 0, 0
    for query, support in zip(
        queries.split(query_lengths.tolist()), supports.split(support_lengths.tolist()), strict=True
    ):
        alone = find_neighbor_lists(query, support, torch.tensor([len(query)]), torch.tensor([len(support)]), 0.3)
        assert together[at : at + len(query)] == [{i + first for i in row} for row in sets_of(alone)]
        at, first = at + len(query), first + len(support)


def test_equal_points_are_all_neighbors_of_each_other() -> None:
    points, lengths = torch.full((40, 3), 2.0), torch.tensor([40])
    assert sets_of(find_neighbor_lists(points, points, lengths, lengths, 0.1)) == 40 * [set(range(40))]
    assert find_neighbor_lists(points, points, lengths, lengths, 0.1, 5).row_starts.diff().eq(5).all()


@pytest.mark.parametrize("search", [neighbors._search_compiled, neighbors._search_chunked])
def test_no_queries_or_no_supports_give_empty_lists(search) -> None:  # type: ignore[no-untyped-def]
    points, nothing = random_batch([5])[0], torch.zeros(0, 3)
    for queries, supports in ((points, nothing), (nothing, points), (nothing, nothing)):
        starts, columns = search(queries, supports, 1.0)
        assert starts.tolist() == [0] * (len(queries) + 1) and len(columns) == 0
    none = torch.zeros(0, dtype=torch.int64)
    assert find_neighbor_lists(nothing, nothing, none, none, 1.0).row_starts.tolist() == [0]


@pytest.mark.parametrize("hint", [None, 0.01, 0.15, 5.0])
def test_the_nearest_support_is_found_whatever_the_hint(hint: float | None) -> None:
    queries, query_lengths = random_batch([90, 0, 60], size=1.5, seed=1)
    supports, support_lengths = random_batch([200, 30, 150], seed=2)
    batch = (queries, supports, query_lengths, support_lengths)
    nearest = find_nearest(*batch, hint)
    distances = all_distances(*batch)
    gaps = distances[torch.arange(150), nearest] - distances.min(1)[0]
    assert nearest.dtype == torch.int64 and gaps.abs().max() < 1e-7


def test_the_k_nearest_come_in_order() -> None:
    queries, query_lengths = random_batch([40, 30], seed=1)
    supports, support_lengths = random_batch([50, 9], seed=2)
    batch = (queries, supports, query_lengths, support_lengths)
    expected = all_distances(*batch).sort(1)[1][:, :4]
    assert find_k_nearest(*batch, 4).equal(expected)


@pytest.mark.gpu
def test_the_searches_on_a_gpu_find_the_same(batches: Batches) -> None:
    there = [tensor.cuda() for tensor in batches]
    assert find_neighbors(*there, 0.3, 20).cpu().equal(find_neighbors(*batches, 0.3, 20))
    far = [tensor + 500 if tensor.is_floating_point() else tensor for tensor in batches[:2]]
    queries, supports, lengths = far[0][:90], far[1][:200], (torch.tensor([90]), torch.tensor([200]))
    found = find_k_nearest(queries.cuda(), supports.cuda(), *(length.cuda() for length in lengths), 3).cpu()
    assert found.equal(find_k_nearest(queries, supports, *lengths, 3))


def test_what_cannot_be_answered_is_refused(batches: Batches) -> None:
    queries, supports, query_lengths, support_lengths = batches
    with pytest.raises(NeighborError, match="radius: expected a positive length"):
        find_neighbor_lists(*batches, 0.0)
    with pytest.raises(NeighborError, match="max_neighbors: expected at least 1"):
        find_neighbors(*batches, 0.1, 0)
    with pytest.raises(NeighborError, match="k: expected at least 1"):
        find_k_nearest(*batches, 0)
    with pytest.raises(NeighborError, match="expected as many query clouds as 1, got 3"):
        find_neighbor_lists(queries, supports, query_lengths, torch.tensor([350]), 0.1)
    for hint in (None, 0.1):  # the second cloud has queries but no supports
        with pytest.raises(NeighborError, match="supports"):
            find_nearest(*batches, hint)
    with pytest.raises(NeighborError, match="supports"):
        find_k_nearest(queries[:5], supports[:2], torch.tensor([5]), torch.tensor([2]), 3)


def test_lists_are_padded_to_the_longest_or_to_a_width() -> None:
    lists = NeighborLists(torch.tensor([0, 2, 2, 3], dtype=torch.int32), torch.tensor([4, 1, 0], dtype=torch.int32))
    assert lists.padded(9).tolist() == [[4, 1], [9, 9], [0, 9]]
    assert lists.padded(9, 3).tolist() == [[4, 1, 9], [9, 9, 9], [0, 9, 9]]
    empty = NeighborLists(torch.zeros(3, dtype=torch.int32), torch.zeros(0, dtype=torch.int32))
    assert empty.padded(9).tolist() == [[9], [9]] and empty.padded(9).dtype == torch.int64
