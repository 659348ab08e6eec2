# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbours of points in packed batches: within a radius, the nearest, the k nearest.

Radius neighbourhoods keep the domain of a kernel the same everywhere (Thomas et al., "KPConv", ICCV 2019,
arXiv:1904.08889, section 3.1). They are held as lists of rows: the neighbours of query ``q`` are
``columns[row_starts[q]:row_starts[q + 1]]``. The padded matrix of the paper, with shadow neighbours, is made from them
by :func:`find_neighbors`.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.geometry.packing import check_packed, offsets_of
from kpconv_ros.kernels import neighbors as kernel
from kpconv_ros.kernels.choice import takes_triton

CHUNK = 2048  # queries whose distances to a whole cloud are held at once, where no cell grid is compiled
MOST_FUSED = 512  # neighbours that a Triton kernel keeps sorted
EXACT = "donot_use_mm_for_euclid_dist"  # by products, distances far from the origin lose their last digits


class NeighborError(ValueError):
    """A neighbour search that cannot be answered."""


class NeighborLists(NamedTuple):
    """The neighbours of each query, one list after the other."""

    row_starts: Tensor
    """First place of each query's list, ``(M + 1,)`` int32."""
    columns: Tensor
    """Rows of the supports, ``(E,)`` int32."""

    def rows(self) -> Tensor:
        """Return the query of each pair, ``(E,)`` int64."""
        return torch.repeat_interleave(self.row_starts.diff().long())

    def padded(self, filling: int, width: int | None = None) -> Tensor:
        """Return the lists as the rows of a matrix, ``(M, H)`` int64; ``filling`` stands in empty places.

        Args:
            filling: The number of supports, for KPConv's shadow neighbour.
            width: H, as long as the longest list or longer; by default as long, but at least 1.
        """
        counts, rows = self.row_starts.diff(), self.rows()
        if width is None:
            width = max(1, int(counts.max())) if len(counts) else 1
        padded = self.columns.new_full((len(counts), width), filling, dtype=torch.int64)
        padded[rows, torch.arange(len(rows), device=rows.device) - self.row_starts[rows].long()] = self.columns.long()
        return padded


def _check(queries: Tensor, supports: Tensor, query_lengths: Tensor, support_lengths: Tensor) -> None:
    check_packed(queries, query_lengths, "queries")
    check_packed(supports, support_lengths, "supports")
    if len(query_lengths) != len(support_lengths):
        raise NeighborError(f"expected as many query clouds as {len(support_lengths)}, got {len(query_lengths)}")


def find_neighbor_lists(
    queries: Tensor,
    supports: Tensor,
    query_lengths: Tensor,
    support_lengths: Tensor,
    radius: float,
    max_neighbors: int | None = None,
) -> NeighborLists:
    """Find the supports within ``radius`` of each query, in the query's own cloud.

    Args:
        queries: Packed positions, ``(M, 3)``, metres.
        supports: Packed positions, ``(N, 3)``, metres.
        query_lengths: ``(B,)`` int64.
        support_lengths: ``(B,)`` int64.
        radius: Metres; a support at exactly this distance counts.
        max_neighbors: Keep only this many nearest ones (then lists are sorted by distance).

    Returns:
        The lists; without ``max_neighbors`` in no order within a list.

    Raises:
        NeighborError: If the radius is not positive, the batches differ in size, or, on the CPU, a point is not finite.
    """
    _check(queries, supports, query_lengths, support_lengths)
    if not radius > 0:
        raise NeighborError(f"radius: expected a positive length in metres, got {radius}")
    if takes_triton(queries) and takes_triton(supports):
        from kpconv_ros.geometry import on_gpu

        found = on_gpu.search_radius(queries, supports, query_lengths, support_lengths, radius, max_neighbors)
        if found is not None:
            return NeighborLists(*found)
    search = _search_compiled if queries.device.type == "cpu" else _search_chunked
    same = queries is supports
    starts, columns, row, column = [queries.new_zeros(1, dtype=torch.int32)], [], 0, 0
    support_clouds = supports.detach().split(support_lengths.tolist())
    query_clouds = support_clouds if same else queries.detach().split(query_lengths.tolist())
    for query_cloud, support_cloud in zip(query_clouds, support_clouds, strict=True):
        cloud_starts, cloud_columns = search(query_cloud, support_cloud, radius)
        starts.append(cloud_starts[1:] + row)
        columns.append(cloud_columns + column if column else cloud_columns)
        row, column = row + len(cloud_columns), column + len(support_cloud)
    lists = NeighborLists(torch.cat(starts), columns[0] if len(columns) == 1 else torch.cat([*columns, starts[0][:0]]))
    return lists if max_neighbors is None else _keep_nearest(lists, queries, supports, max_neighbors)


def _search_compiled(queries: Tensor, supports: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    support_array = np.ascontiguousarray(supports.float().numpy())
    query_array = support_array if queries is supports else np.ascontiguousarray(queries.float().numpy())
    try:
        starts, columns = kernel.search_radius(query_array, support_array, radius)
    except ValueError as error:
        raise NeighborError(str(error)) from error
    return torch.from_numpy(starts), torch.from_numpy(columns)


def _search_chunked(queries: Tensor, supports: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Search by distances of chunks of queries to all supports: any device, O(M N) time, bounded memory."""
    counts, columns = [], []
    for chunk in queries.split(CHUNK):
        offsets = chunk[:, None] - supports[None]  # (m, 1, 3) - (1, N, 3) -> (m, N, 3)
        near = offsets.square().sum(2) <= radius * radius
        counts.append(near.sum(1, dtype=torch.int32))
        columns.append(near.nonzero()[:, 1].int())
    zero = torch.zeros(1, dtype=torch.int32, device=queries.device)
    return torch.cat([zero, *counts]).cumsum(0).int(), torch.cat([*columns, zero[:0]])


def _keep_nearest(lists: NeighborLists, queries: Tensor, supports: Tensor, most: int) -> NeighborLists:
    rows, columns = lists.rows(), lists.columns.long()
    distances = (queries[rows] - supports[columns]).square().sum(1)
    order = torch.argsort(distances, stable=True)
    order = order[torch.argsort(rows[order], stable=True)]
    rank = torch.arange(len(rows), device=rows.device) - lists.row_starts[rows].long()
    kept = order[rank < most]
    counts = lists.row_starts.diff().clamp(max=most)
    return NeighborLists(torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int(), columns[kept].int())


def find_neighbors(
    queries: Tensor,
    supports: Tensor,
    query_lengths: Tensor,
    support_lengths: Tensor,
    radius: float,
    max_neighbors: int,
) -> Tensor:
    """Find at most ``max_neighbors`` nearest supports within ``radius``, as a padded matrix.

    Returns:
        Rows of ``supports``, ``(M, max_neighbors)`` int64, nearest first. The value N fills empty places: KPConv's
        shadow neighbour, which carries zero features.

    Raises:
        NeighborError: As :func:`find_neighbor_lists`, or if ``max_neighbors`` is below one.
    """
    if max_neighbors < 1:
        raise NeighborError(f"max_neighbors: expected at least 1, got {max_neighbors}")
    lists = find_neighbor_lists(queries, supports, query_lengths, support_lengths, radius, max_neighbors)
    return lists.padded(len(supports), max_neighbors)


def find_nearest(
    queries: Tensor,
    supports: Tensor,
    query_lengths: Tensor,
    support_lengths: Tensor,
    expected_distance: float | None = None,
) -> Tensor:
    """Find the nearest support of each query, in the query's own cloud: KP-FCNN's nearest upsampling.

    Args:
        queries: ``(M, 3)``, metres.
        supports: ``(N, 3)``, metres.
        query_lengths: ``(B,)`` int64.
        support_lengths: ``(B,)`` int64.
        expected_distance: Typical spacing of the supports, metres; a hint that makes the search on the CPU fast.

    Returns:
        Rows of ``supports``, ``(M,)`` int64.

    Raises:
        NeighborError: If a cloud has queries but no supports.
    """
    if expected_distance is not None and takes_triton(queries) and takes_triton(supports):
        from kpconv_ros.geometry import on_gpu

        _check(queries, supports, query_lengths, support_lengths)
        found = on_gpu.search_nearest(queries, supports, query_lengths, support_lengths, 2 * expected_distance)
        if found is not None:
            return found
        expected_distance = None
    if expected_distance is None or queries.device.type != "cpu":
        return find_k_nearest(queries, supports, query_lengths, support_lengths, 1)[:, 0]
    _check(queries, supports, query_lengths, support_lengths)
    result = torch.empty(len(queries), dtype=torch.int64)
    offsets = offsets_of(query_lengths).tolist()
    first = 0
    for cloud, count in enumerate(support_lengths.tolist()):
        rows = slice(offsets[cloud], offsets[cloud + 1])
        if rows.stop > rows.start:
            _require(count, 1)
            query_array, support_array = queries[rows].numpy(), supports[first : first + count].numpy()
            nearest = kernel.search_nearest(query_array, support_array, expected_distance)
            lost = np.flatnonzero(nearest < 0)
            if len(lost):
                nearest[lost] = _k_nearest_in_tree(query_array[lost], support_array, 1)[:, 0]
            result[rows] = torch.from_numpy(nearest).long() + first
        first += count
    return result


def _require(count: int, k: int) -> None:
    if count < k:
        raise NeighborError(f"expected at least {k} supports in each cloud that has queries, got {count}")


def find_k_nearest(queries: Tensor, supports: Tensor, query_lengths: Tensor, support_lengths: Tensor, k: int) -> Tensor:
    """Find the ``k`` nearest supports of each query, in the query's own cloud.

    Returns:
        Rows of ``supports``, ``(M, k)`` int64, nearest first.

    Raises:
        NeighborError: If a cloud with queries has fewer than ``k`` supports.
    """
    _check(queries, supports, query_lengths, support_lengths)
    if k < 1:
        raise NeighborError(f"k: expected at least 1, got {k}")
    if takes_triton(queries) and takes_triton(supports) and k <= MOST_FUSED:
        from kpconv_ros.geometry import on_gpu

        if bool((support_lengths[query_lengths > 0] >= k).all()):
            return on_gpu.search_k_nearest(queries, supports, query_lengths, support_lengths, k)
    parts, first = [torch.empty(0, k, dtype=torch.int64, device=queries.device)], 0
    query_clouds = queries.detach().split(query_lengths.tolist())
    for query_cloud, support_cloud in zip(query_clouds, supports.detach().split(support_lengths.tolist()), strict=True):
        if len(query_cloud):
            _require(len(support_cloud), k)
            parts.append(_k_nearest_of_cloud(query_cloud, support_cloud, k) + first)
        first += len(support_cloud)
    return torch.cat(parts)


def _k_nearest_of_cloud(queries: Tensor, supports: Tensor, k: int) -> Tensor:
    if queries.device.type == "cpu":
        return torch.from_numpy(_k_nearest_in_tree(queries.numpy(), supports.numpy(), k))
    distances = (torch.cdist(chunk, supports, compute_mode=EXACT) for chunk in queries.split(CHUNK))
    return torch.cat([chunk.topk(k, largest=False)[1] for chunk in distances])


def _k_nearest_in_tree(queries: NDArray[np.generic], supports: NDArray[np.generic], k: int) -> NDArray[np.int64]:
    from scipy.spatial import cKDTree  # here, as a machine whose tensors are all on a GPU needs no SciPy

    rows: NDArray[np.int64] = cKDTree(supports).query(queries, k=[*range(1, k + 1)])[1]
    return rows
