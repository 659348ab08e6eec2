# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keys, lists of rows and fading votes of a map on a device: plain torch that waits for nothing."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import NOWHERE
from kpconv_ros.kernels.voxel_hash import AXIS_BITS, HALF_RANGE

GOLDEN, MIX = 0x9E3779B97F4A7C15 - (1 << 64), 0xBF58476D1CE4E5B9 - (1 << 64)  # as signed numbers of 64 bits
LEAST_WEIGHT = 1e-12
LEAST_SHARE = 1e-30  # of old votes that stay; a logarithm is taken of it


class FadedVotes(NamedTuple):
    """What is left of votes when all of them were added one after the other."""

    left: Tensor
    """Of what a row had before this vote, ``(M,)`` float64."""
    share: Tensor
    """Of this vote, its weight included, ``(M,)`` float64."""
    total: Tensor
    """Weight of the row after this vote, ``(M,)`` float64."""


def pack_keys(points: Tensor, inverse_size: float, origin: Tensor) -> Tensor:
    """Pack the cells of positions ``(N, 3)`` float64, see ``kernels.voxel_hash.pack_key``; NOWHERE where that is -1."""
    cells = (points * inverse_size).floor() - origin
    inside = (cells.abs() < HALF_RANGE).all(1)  # false for NaN
    x, y, z = (torch.where(inside[:, None], cells, 0.0).long() + HALF_RANGE).unbind(1)
    return torch.where(inside, (x << (2 * AXIS_BITS)) | (y << AXIS_BITS) | z, NOWHERE)


def keys_around(keys: Tensor, reach: int) -> Tensor:
    """Return the keys of the cells up to ``reach`` away from each of ``keys`` (M,): ``(M, (2 reach + 1)^3)``."""
    steps = torch.arange(-reach, reach + 1, device=keys.device)
    x, y, z = torch.cartesian_prod(steps, steps, steps).unbind(1)
    return keys[:, None] + ((x << (2 * AXIS_BITS)) + (y << AXIS_BITS) + z)


def unit_of_key(keys: Tensor) -> Tensor:
    """Return the number in [0, 1) of each key, see ``kernels.voxel_hash.unit_of_key``; float64."""

    def shifted(values: Tensor, bits: int) -> Tensor:
        return (values >> bits) & ((1 << (64 - bits)) - 1)  # signed numbers would drag their sign along

    mixed = (keys ^ shifted(keys, 31)) * MIX
    mixed = (mixed ^ shifted(mixed, 31)) * GOLDEN
    return shifted(mixed, 40).double() / 16777216.0


def compact(values: Tensor, chosen: Tensor, length: int) -> Tensor:
    """Return the chosen ones of ``values`` (N,), in order, then -1: ``(length,)``."""
    place = torch.where(chosen, chosen.cumsum(0) - 1, length)
    return values.new_full((length + 1,), -1).scatter_(0, place, torch.where(chosen, values, -1))[:length]


def find_runs(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return which places are the first and which the last of their row, ``(M,)`` bool; equal rows lie side by side."""
    begins, ends = torch.ones((2, len(rows)), dtype=torch.bool, device=rows.device)
    begins[1:] = rows[1:] != rows[:-1]
    ends[:-1] = begins[1:]
    return begins, ends


def fade_votes(rows: Tensor, weights: Tensor, held: Tensor, memory: float) -> FadedVotes:
    """Work out in parallel what ``kernels.voting.add_votes`` does vote by vote.

    The weight of a row before a vote is a sum, capped by ``memory``; what is left of a vote is the product of what
    each later one keeps.

    Args:
        rows: Row of each vote, ``(M,)`` int64, sorted; votes of a row in the order in which they are added.
        weights: ``(M,)`` float64.
        held: Weight that the row had before all of them, ``(M,)`` float64.
        memory: Largest weight.
    """
    sums = held + _sums_in_row(rows, weights)
    before = (sums - weights).clamp(max=memory)
    kept = ((memory - weights) / before.clamp(min=LEAST_WEIGHT)).clamp(min=LEAST_SHARE, max=1).log()
    left = _sums_in_row(rows.flip(0), kept.flip(0)).flip(0)  # of this vote and all later ones
    return FadedVotes(left.exp(), weights * (left - kept).exp(), sums.clamp(max=memory))


def _sums_in_row(rows: Tensor, values: Tensor) -> Tensor:
    """Sum ``values`` (M,) up to each place over the places of the same row; equal rows lie side by side."""
    if not len(rows):
        return values
    sums = values.cumsum(0)
    begin = torch.where(find_runs(rows)[0], torch.arange(len(rows), device=rows.device), 0).cummax(0).values
    return sums - (sums - values)[begin]
