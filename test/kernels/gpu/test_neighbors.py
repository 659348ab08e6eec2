# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbours by cell hashing against all distances in float64."""

import pytest
import torch
from random_clouds import Batch, random_batch
from real_clouds import CloudSource
from torch import Tensor

from kpconv_ros.data.clouds import Cloud
from kpconv_ros.geometry.packing import cloud_of_point
from kpconv_ros.kernels.gpu.cells import NOWHERE, CellTable, find_keys, frame_of, sort_into_cells
from kpconv_ros.kernels.gpu.neighbors import count_neighbors, find_nearest_few, list_neighbors
from reference.neighbors import all_distances, brute_radius_sets

Search = tuple[Tensor, Tensor, CellTable]


def search_in(device: torch.device, queries: Tensor, supports: Tensor, lengths: list[Tensor], cell: float) -> Search:
    """Return queries, their keys and the cells of the supports."""
    both, clouds = torch.cat([queries, supports]), torch.cat([cloud_of_point(count) for count in lengths])
    both, clouds = both.to(device), clouds.to(device)
    keys = find_keys(both, clouds, frame_of(both, clouds, len(lengths[0])), cell)
    num = len(queries)
    return both[:num].contiguous(), keys[:num], sort_into_cells(both[num:].contiguous(), keys[num:])


def two_clouds(batch: Batch = random_batch) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return queries, supports and their lengths; the clouds overlap, and one query lies far away."""
    supports, support_lengths = batch([240, 160])
    queries, query_lengths = batch([2, 2], seed=1)
    queries[0] -= 40
    return queries, supports, [query_lengths, support_lengths]


def test_lists_hold_what_lies_within_the_radius_and_nothing_else(device: torch.device, source: CloudSource) -> None:
    queries, supports, lengths = two_clouds(source.batch)
    search = search_in(device, queries, supports, lengths, 0.4)
    counts = count_neighbors(*search, 0.4)
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0, dtype=torch.int32)])
    columns = list_neighbors(*search, 0.4, starts, int(starts[-1]))
    expected = brute_radius_sets(queries, supports, *lengths, 0.4)
    assert counts.tolist() == [len(rows) for rows in expected] and counts.max() > 32 and counts[0] == 0
    found = [columns[starts[q] : starts[q + 1]].tolist() for q in range(len(queries))]
    assert [set(rows) for rows in found] == expected
    room = int(starts[-1]) - 2  # what does not fit is left out, and nothing is written behind it
    assert list_neighbors(*search, 0.4, starts, room).equal(columns[:room])
    assert list_neighbors(*search, 0.4, starts, room + 4)[-2:].tolist() == [0, 0]


@pytest.mark.parametrize("most", [1, 40])
def test_the_nearest_come_first_and_the_rest_is_filled(device: torch.device, source: CloudSource, most: int) -> None:
    queries, supports, lengths = two_clouds(source.batch)
    search = search_in(device, queries, supports, lengths, 0.4)
    columns, counts = find_nearest_few(*search, 0.4, most)
    distances = all_distances(queries, supports, *lengths)
    within = (distances <= 0.4).sum(1)
    assert counts.cpu().equal(within.int()) and within.max() > 40 and columns.shape == (4, most)
    order = distances.argsort(dim=1, stable=True)
    for query, count in enumerate(within.clamp(max=most).tolist()):
        assert columns[query, :count].tolist() == order[query, :count].tolist()
        assert (columns[query, count:] == len(supports)).all()


def test_more_candidates_than_a_block_are_merged(device: torch.device) -> None:
    supports, support_lengths = random_batch([200], size=0.3)
    queries, query_lengths = random_batch([2], size=0.3, seed=1)
    lengths = [query_lengths, support_lengths]
    columns, counts = find_nearest_few(*search_in(device, queries, supports, lengths, 1.0), 1.0, 33)
    assert counts.tolist() == [200, 200]  # seven blocks of 32 or four of 64
    expected = all_distances(queries, supports, *lengths).argsort(dim=1, stable=True)[:, :33]
    assert columns.tolist() == expected.tolist()


def test_of_equal_distances_the_smaller_row_comes_first(device: torch.device) -> None:
    supports = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, -1, 0.0]]) * 0.5
    lengths = [torch.tensor([1]), torch.tensor([5])]
    columns, _ = find_nearest_few(*search_in(device, torch.zeros(1, 3), supports, lengths, 0.5), 0.5, 4)
    assert columns.tolist() == [[3, 0, 1, 2]]


def test_a_support_at_exactly_the_radius_counts(device: torch.device) -> None:
    supports = torch.tensor([[0.5, 0, 0], [0, 0.5000001, 0], [-0.5, 0, 0]])
    lengths = [torch.tensor([1]), torch.tensor([3])]
    columns, counts = find_nearest_few(*search_in(device, torch.zeros(1, 3), supports, lengths, 0.5), 0.5, 3)
    assert counts.tolist() == [2] and columns.tolist() == [[0, 2, 3]]


def test_a_query_that_is_nowhere_sees_nothing_and_no_supports_are_seen(device: torch.device) -> None:
    queries, supports, lengths = two_clouds()
    queries, keys, cells = search_in(device, queries, supports, lengths, 0.4)
    keys[3] = NOWHERE
    columns, counts = find_nearest_few(queries, keys, cells, 0.4, 5)
    assert counts[3] == 0 and (columns[3] == len(supports)).all() and counts.sum() > 10
    nothing = sort_into_cells(supports[:0].to(device), keys[:0])
    columns, counts = find_nearest_few(queries, keys, nothing, 0.4, 5)
    assert (columns == 0).all() and (counts == 0).all()


def test_limits_out_of_range_are_refused(device: torch.device) -> None:
    search = search_in(device, *two_clouds(), 0.4)
    with pytest.raises(ValueError, match="expected 1 to 512 neighbours, got 513"):
        find_nearest_few(*search, 0.4, 513)


@pytest.mark.data
def test_neighbors_in_a_whole_scan_are_those_of_all_distances(device: torch.device, real_scan: Cloud) -> None:
    supports = torch.from_numpy(real_scan.points)[::40].contiguous()
    queries = supports[[5, 800, 2000]]
    lengths = [torch.tensor([len(queries)]), torch.tensor([len(supports)])]
    columns, counts = find_nearest_few(*search_in(device, queries, supports, lengths, 1.0), 1.0, 6)
    distances = all_distances(queries, supports, *lengths)
    assert counts.cpu().equal((distances <= 1.0).sum(1).int()) and counts.max() > 6
    nearest = distances.gather(1, columns.cpu().long().clamp(max=len(supports) - 1))
    held = torch.arange(6) < counts.cpu()[:, None]
    torch.testing.assert_close(nearest[held], distances.sort(1)[0][:, :6][held])  # rows may differ in a tie
