# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbourhood co-occurrence from its definition, one pair of neighbours at a time."""

import torch
from torch import Tensor

from kpconv_ros.geometry.neighbors import NeighborLists


def looped_cooccurrences(maps: Tensor, lists: NeighborLists) -> Tensor:
    """M[c, d] = sum_n sum_{j in A(n)} Y[n, c] Y[j, d]."""
    total = maps.new_zeros(maps.shape[1], maps.shape[1])
    starts = lists.row_starts.tolist()
    for point in range(len(maps)):
        for neighbor in lists.columns[starts[point] : starts[point + 1]].tolist():
            total = total + torch.outer(maps[point], maps[neighbor])
    return total
