# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How spheres are picked and how their votes are kept, on the CPU and on a GPU; see :mod:`.sphere_voting`."""

from __future__ import annotations

from dataclasses import dataclass

CELLS_PER_RADIUS = 10
"""Potentials live on cells of a tenth of the sphere, as in the paper's code."""
HARDLY_TESTED = 0.5
"""Places in sight below this potential are served by what they bring, before the rest by potential."""
NUM_CANDIDATES = 16
"""Centres compared for one sphere; more cost more time than they save."""
LOAD_STRIDE = 4
"""Every so many coarse cells are looked at when the price of a sphere is estimated."""
BASE_LOAD = 500.0
"""Price of an empty sphere, in voxels."""
RINGS_OF_NEIGHBORS = 1
"""A voxel without votes looks this many voxels far for its own neighbour, then takes the votes of a coarse cell."""


@dataclass(frozen=True)
class SphereVotingConfig:
    """How spheres are picked and how their votes are kept."""

    voxel_size: float = 0.1
    """Edge of a voxel, metres; the network's."""
    sphere_radius: float = 4.0
    """Radius of a sphere, metres; the network's."""
    segment_range: float = 50.0
    """Centres are picked up to this far from the sensor, metres."""
    max_sphere_points: int = 20_000
    """Most voxels of a sphere; a fuller one keeps those nearest to its centre."""
    max_voxels: int = 400_000
    """Hard cap of the map; the farthest voxels go first."""
    vote_memory: float = 10.0
    """Sum of vote weights up to which votes are a plain mean; from there on old votes fade."""
    min_vote_weight: float = 0.05
    """Weight of a vote at the border of its sphere; at the centre it is 1."""
    max_count: int = 32
    """Points of earlier scans that a voxel's barycentre remembers."""
    potential_memory: float = 10.0
    """Time in which potentials fade to 1/e, seconds."""
    max_potential: float = 4.0
    """A place with this potential needs no further test for now."""

    @property
    def cell_size(self) -> float:
        """Edge of a coarse cell, metres."""
        return max(self.sphere_radius / CELLS_PER_RADIUS, 2 * self.voxel_size)
