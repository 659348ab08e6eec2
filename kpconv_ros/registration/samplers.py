# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Samplers choose which points of a scan are registered: the protocol, and those made by hand.

All give rows of the scan in **progressive order**: the first ``k`` rows are a good sample of ``k`` points, so a smaller
budget is a prefix. All repeat themselves exactly for equal points and an equally seeded generator.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.kernels.sampling import pick_farthest, pick_nearest_to_centroids
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.surface import Surface, check_points, estimate_surface, hash_points

Array = NDArray[Any]


class SamplingContext(NamedTuple):
    """What else a sampler may know of a scan."""

    surface: Surface | Callable[[], Surface] | None = None
    """Planes around the points, or what gives them when a sampler asks, so that they are estimated once and only then;
    None lets a sampler that needs them estimate them."""
    T_frame_sensor: Array | None = None
    """``(4, 4)``, pose of the sensor in the frame in which grids are laid, so that two scans may share one; None lays
    them in the sensor frame."""
    generator: torch.Generator | None = None
    """Source of randomness; None is one with seed 0."""

    def surface_of(self, points: Array) -> Surface:
        """Return the given surface, or estimate that of the points.

        Raises:
            RegistrationError: If the given one is of another number of points.
        """
        if self.surface is None:
            return estimate_surface(points)
        surface = self.surface if isinstance(self.surface, Surface) else self.surface()
        if len(surface.normals) != len(points):
            raise RegistrationError(f"surface: expected {len(points)} points, got {len(surface.normals)}")
        return surface

    def random(self) -> torch.Generator:
        """Return the given generator, or a new one with seed 0."""
        return torch.Generator().manual_seed(0) if self.generator is None else self.generator


ALONE = SamplingContext()
"""Nothing but the points."""


class Sampler(Protocol):
    """Chooses points of a scan."""

    def sample(self, points: Array, num_points: int, context: SamplingContext = ALONE) -> Array:
        """Choose points.

        Args:
            points: ``(N, 3)`` float32, metres, sensor frame, finite.
            num_points: Budget.
            context: What else is known.

        Returns:
            Rows of ``points``, ``(m,)`` int64, each at most once, in progressive order; m is ``num_points``, or fewer
            where the cloud has not as many that the sampler would choose.

        Raises:
            RegistrationError: If a shape is wrong, a coordinate is not finite or the budget is negative.
        """
        ...


def check_request(points: Array, num_points: int) -> Array:
    """Return the points as contiguous float32 ``(N, 3)``.

    Raises:
        RegistrationError: As :meth:`Sampler.sample`.
    """
    if num_points < 0:
        raise RegistrationError(f"num_points: expected 0 or more, got {num_points}")
    return check_points(points)


def permute(count: int, generator: torch.Generator) -> Array:
    """Return ``0..count - 1`` in random order, ``(count,)`` int64."""
    return torch.randperm(count, generator=generator).numpy()


class AllPoints:
    """No sampling: every point in random order, whatever the budget."""

    def sample(self, points: Array, num_points: int, context: SamplingContext = ALONE) -> Array:
        return permute(len(check_request(points, num_points)), context.random())


class RandomSampler:
    """Uniformly random points: rows are drawn until as many differ as are wanted, which for few costs few draws."""

    def sample(self, points: Array, num_points: int, context: SamplingContext = ALONE) -> Array:
        count, generator = len(check_request(points, num_points)), context.random()
        wanted = min(num_points, count)
        drawn, first = np.empty(0, np.int64), np.empty(0, np.int64)
        while len(first) < wanted:
            more = torch.randint(count, (2 * wanted,), generator=generator).numpy()
            drawn = np.concatenate([drawn, more])
            _, first = np.unique(drawn, return_index=True)
        rows: Array = drawn[np.sort(first)][:wanted]
        return rows


class FarthestPointSampler:
    """Farthest-point sampling from a random first point; O(N m)."""

    def sample(self, points: Array, num_points: int, context: SamplingContext = ALONE) -> Array:
        points = check_request(points, num_points)
        order = permute(len(points), context.random())
        count = min(num_points, len(points))
        return order[pick_farthest(points[order], count, np.zeros(1, np.int64))] if count else order[:0]


@dataclass(frozen=True)
class VoxelSampler:
    """The point nearest to the centroid of each voxel, from coarse voxels to fine ones.

    A level adds a point for each of its voxels that holds none of the coarser levels; within a level the order is
    random.
    """

    coarsest: float = 16.0
    """Edge of the voxels of the first level, metres; each level halves it."""
    finest: float = 0.25
    """Edge of the voxels of the last level, metres."""

    def sample(self, points: Array, num_points: int, context: SamplingContext = ALONE) -> Array:
        points = lay_in_frame(check_request(points, num_points), context.T_frame_sensor)
        generator = context.random()
        (*_, cell_of_point, num_cells), _ = hash_points(points, self.finest)
        candidates = pick_nearest_to_centroids(points, cell_of_point, num_cells)
        around = points[candidates]
        chosen, num_chosen = [candidates[:0]], 0
        is_chosen = np.zeros(len(candidates), bool)
        size = self.coarsest
        while num_chosen < min(num_points, len(candidates)) and size > 0.99 * self.finest:
            new = _pick_of_free_cells(around, is_chosen, size)
            new = new[permute(len(new), generator)]
            is_chosen[new] = True
            chosen.append(candidates[new])
            num_chosen += len(new)
            size *= 0.5
        return np.concatenate(chosen)[:num_points]


def lay_in_frame(points: Array, T_frame_sensor: Array | None) -> Array:  # noqa: N803
    """Move points to the frame in which grids are laid, float32."""
    return points if T_frame_sensor is None else transform_points(T_frame_sensor, points).astype(np.float32)


def _pick_of_free_cells(points: Array, is_chosen: Array, size: float) -> Array:
    """Return the rows nearest to the centroids of the cells that hold no chosen point."""
    (*_, cell_of_point, num_cells), _ = hash_points(points, size)
    is_free = np.ones(num_cells, bool)
    is_free[cell_of_point[is_chosen]] = False
    picked: Array = pick_nearest_to_centroids(points, cell_of_point, num_cells)[is_free]
    return picked


@dataclass(frozen=True)
class NormalSpaceSampler:
    """Points whose normals point everywhere: bins of directions take turns.

    Rusinkiewicz and Levoy, "Efficient Variants of the ICP Algorithm", 3DIM 2001, section 3.1. A direction and its
    opposite share a bin; points without a normal are not chosen.
    """

    azimuth_bins: int = 12
    """Bins over half a turn."""
    height_bins: int = 4
    """Bins over |n_z|."""

    def sample(self, points: Array, num_points: int, context: SamplingContext = ALONE) -> Array:
        points = check_request(points, num_points)
        normals = context.surface_of(points).normals
        rows = np.flatnonzero(normals.any(1))
        rows = rows[permute(len(rows), context.random())]
        return take_turns(rows, self._bin_of_normal(normals[rows]))[:num_points]

    def _bin_of_normal(self, normals: Array) -> Array:
        half_turn = np.mod(np.arctan2(normals[:, 1], normals[:, 0]), np.pi) / np.pi
        azimuth = np.minimum((half_turn * self.azimuth_bins).astype(np.int64), self.azimuth_bins - 1)
        height = np.minimum((np.abs(normals[:, 2]) * self.height_bins).astype(np.int64), self.height_bins - 1)
        bins: Array = height * self.azimuth_bins + azimuth
        return bins


def take_turns(rows: Array, group_of_row: Array) -> Array:
    """Reorder rows so that the groups take turns, each in the order of its rows."""
    by_group = np.argsort(group_of_row, kind="stable")
    groups = group_of_row[by_group]
    starts = np.searchsorted(groups, groups)  # first place of each row's group
    turn = np.empty(len(rows), np.int64)
    turn[by_group] = np.arange(len(rows)) - starts
    return rows[np.argsort(turn, kind="stable")]


@dataclass(frozen=True)
class PlanarVoxelSampler:
    """Voxel sampling of the points on planes, where ground and walls take turns.

    Point-to-plane registration takes height, roll and pitch from the ground, the rest from walls; edges and leaves only
    add noise to it.
    """

    max_variation: float = 0.01
    """Surface variation above which a point lies on no plane."""
    min_planarity: float = 0.05
    """Planarity below which its neighbourhood is a line."""
    ground: float = 0.8
    """|n_z| from which a plane counts as ground."""
    voxels: VoxelSampler = VoxelSampler()

    def sample(self, points: Array, num_points: int, context: SamplingContext = ALONE) -> Array:
        points = check_request(points, num_points)
        surface = context.surface_of(points)
        is_planar = (surface.variation < self.max_variation) & (surface.planarity > self.min_planarity)
        is_ground = np.abs(surface.normals[:, 2]) > self.ground
        parts, seeds = [], torch.randint(2**62, (2,), generator=context.random()).tolist()
        for is_part, seed in zip((is_planar & ~is_ground, is_planar & is_ground), seeds, strict=True):
            part = SamplingContext(None, context.T_frame_sensor, torch.Generator().manual_seed(seed))
            rows = np.flatnonzero(is_part)
            picked = self.voxels.sample(points[rows], num_points, part)
            parts.append(rows[picked])
        group = np.repeat([0, 1], [len(part) for part in parts])
        return take_turns(np.concatenate(parts), group)[:num_points]


SAMPLERS: dict[str, Callable[[], Sampler]] = {
    "none": AllPoints,
    "random": RandomSampler,
    "fps": FarthestPointSampler,
    "voxel": VoxelSampler,
    "nss": NormalSpaceSampler,
    "planar_voxel": PlanarVoxelSampler,
}
"""Makers of the hand-made samplers, by name."""


def make_sampler(name: str) -> Sampler:
    """Make a hand-made sampler.

    Raises:
        RegistrationError: If there is none of this name.
    """
    if name not in SAMPLERS:
        raise RegistrationError(f"sampler: expected one of {', '.join(SAMPLERS)}, got {name!r}")
    return SAMPLERS[name]()
