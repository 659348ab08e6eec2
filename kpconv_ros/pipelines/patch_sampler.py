# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SampleNet as a sampler of scans: points in, rows of them out, by the protocol of the hand-made samplers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.geometry.sampling import complete_farthest
from kpconv_ros.kernels.patches import choose_heaviest
from kpconv_ros.networks.patch_sampler import PatchSamplerConfig, PatchSamplerNet, anchor_pattern
from kpconv_ros.patch_sampler_checkpoint import load_patch_sampler
from kpconv_ros.registration.patches import Columns, Voxels, cut_columns, describe_voxels, ground_height, pad_columns
from kpconv_ros.registration.samplers import ALONE, SamplingContext, check_request, lay_in_frame, take_turns

Array = NDArray[Any]
DEFAULT_SAMPLER = "patch_sampler"
Find = Callable[[Voxels, Array, Columns], tuple[Array, Array]]
"""Gives queries ``(C, m, 3)`` in columns and scores ``(M, m)`` of the voxels in the order of the columns."""
Rank = Callable[[Array], Array]
"""Orders the slots of all columns by their gains ``(C, m)``."""


class PatchSampler:
    """Points that a :class:`PatchSamplerNet` chooses, column by column.

    The slots of all columns compete: a greater gain, score less squared distance, comes first; those that look for
    ground and those that look for walls take turns. Slots that meet at one point count once; what the columns cannot
    give is completed by farthest-point sampling of the voxels (Lang et al., arXiv:1912.03663, section 3.2).
    """

    def __init__(self, network: PatchSamplerNet) -> None:
        """Take a network in evaluation mode, on the CPU."""
        self.network = network

    @classmethod
    def from_pretrained(cls, name_or_path: str = DEFAULT_SAMPLER) -> "PatchSampler":
        """Load a shipped sampler, or that of a folder.

        Raises:
            CheckpointError: If a file is missing or altered, or is no sampler.
        """
        return cls(load_patch_sampler(name_or_path))

    def sample(self, points: Array, num_points: int, context: SamplingContext = ALONE) -> Array:
        """Choose points, see :meth:`kpconv_ros.registration.samplers.Sampler.sample`."""
        return _choose_in_columns(points, num_points, context, self.network.config, self._find, _ground_and_walls)

    @torch.inference_mode()
    def _find(self, voxels: Voxels, points: Array, columns: Columns) -> tuple[Array, Array]:
        config = self.network.config
        rows = pad_columns(columns, config.patch_points)
        local = (points[rows] - columns.centers[:, None]) / config.cell_size
        patches = torch.from_numpy(np.concatenate([local, voxels.features[rows]], axis=2))  # (C, n, 3 + F)
        scores = self.network.score_points(torch.from_numpy(voxels.features[columns.rows]))
        return self.network(patches).numpy(), scores.numpy()


class AnchorSampler:
    """The points nearest to the fixed places of each column at which SampleNet starts: no network, the same grid.

    All columns give the point of their first place before any gives that of its second.
    """

    def __init__(self, config: PatchSamplerConfig | None = None) -> None:
        """Take the sizes of the columns and the number of places; None is those of a default network."""
        self.config = config or PatchSamplerConfig()

    def sample(self, points: Array, num_points: int, context: SamplingContext = ALONE) -> Array:
        """Choose points, see :meth:`kpconv_ros.registration.samplers.Sampler.sample`."""
        return _choose_in_columns(points, num_points, context, self.config, self._find, _turns_of_slots)

    def _find(self, voxels: Voxels, points: Array, columns: Columns) -> tuple[Array, Array]:
        slots = self.config.slots
        queries = np.broadcast_to(anchor_pattern(slots), (len(columns.centers), slots, 3))
        return np.ascontiguousarray(queries), np.zeros((len(columns.rows), slots), np.float32)


def _ground_and_walls(gains: Array) -> Array:
    """Return the places of ``gains (C, m)``, flat: the greatest first, even slots and odd ones in turn."""
    by_gain = np.argsort(-gains.ravel(), kind="stable")
    return take_turns(by_gain, by_gain % gains.shape[1] % 2)


def _turns_of_slots(gains: Array) -> Array:
    """Return the places of ``gains (C, m)``, flat: the first slots of all columns, then the second ones."""
    slots = np.broadcast_to(np.arange(gains.shape[1]), gains.shape)
    return np.lexsort((-gains.ravel(), slots.ravel()))


def _choose_in_columns(
    points: Array, num_points: int, context: SamplingContext, config: PatchSamplerConfig, find: Find, rank: Rank
) -> Array:
    """Choose by what ``find`` and ``rank`` say, then by farthest-point sampling."""
    points = check_request(points, num_points)
    voxels = describe_voxels(points, context.surface_of(points), config.voxel_size)
    if not len(voxels.rows) or not num_points:
        return np.empty(0, np.int64)
    shared = lay_in_frame(voxels.points, context.T_frame_sensor)
    columns = cut_columns(shared, config.cell_size, config.reach, ground_height(shared))
    ordered = np.zeros(1, np.int64)  # where all voxels lie outside the square
    if len(columns.rows):
        queries, scores = find(voxels, shared, columns)
        centers = np.repeat(columns.centers, np.diff(columns.starts), axis=0)
        local = (shared[columns.rows] - centers) / np.float32(config.cell_size)
        chosen, gains = choose_heaviest(queries, scores, local, columns.starts)
        ranked = columns.rows[chosen.ravel()[rank(gains)]]
        ordered = ranked[np.sort(np.unique(ranked, return_index=True)[1])][:num_points]
    count = min(num_points, len(voxels.rows))
    if len(ordered) < count:
        ordered = complete_farthest(torch.from_numpy(shared), torch.from_numpy(ordered), count).numpy()
    return np.asarray(voxels.rows[ordered])
