# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registration of two maps without an initial guess, from their tiles alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from kpconv_ros.config_io import param
from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.map_tile import MapTile

Array = NDArray[Any]
_REFINEMENTS = (2.0, 1.0, 0.5, 0.3)  # reaches of the passes of the refinement, metres
_EDGE_RATIO = 0.9  # a triangle's edges must be as long in both maps
MIN_POINTS = 4


@dataclass(frozen=True)
class GlobalConfig:
    """How tiles are registered."""

    neighbors: int = param(3, "target points that a source point may be, by descriptor", 1, 100)
    tolerance: float = param(1.0, "pairs this near count for a hypothesis, metres", 0.05, 20.0)
    iterations: int = param(400_000, "most triples tried in a run", 100, 100_000_000)
    runs: int = param(3, "independent runs, of which the best is kept", 1, 100)
    same_distance: float = param(0.5, "after refinement, points this near are the same, metres", 0.05, 10.0)
    min_overlap: float = param(0.1, "not believed if a smaller share of points are the same", 0.0, 1.0)
    seed: int = param(0, "of the search", 0, 2**31 - 1)


@dataclass(frozen=True)
class GlobalResult:
    """Where one map lies in the other."""

    T_target_source: Array
    """``(4, 4)``."""
    overlap: float
    """Share of the source's points that have a target point at the same place, 0..1."""
    rmse: float
    """Root mean square of those distances, metres."""
    is_believed: bool
    """Whether the overlap is large enough."""


def register_tiles(source: MapTile, target: MapTile, config: GlobalConfig | None = None) -> GlobalResult:
    """Find the motion that lays one map on another.

    Points pair up by descriptors; Open3D tries triples of pairs (RANSAC), and point-to-point ICP refines the best; the
    keypoints lie on no grid that could hold it fast.

    Args:
        source: Sampled points of the one map.
        target: Sampled points of the other.
        config: Settings; None takes the defaults.

    Raises:
        RegistrationError: If a tile has fewer than four points.
    """
    import open3d

    config = GlobalConfig() if config is None else config
    for name, tile in (("source", source), ("target", target)):
        if len(tile.points) < MIN_POINTS:
            raise RegistrationError(f"{name}: expected at least {MIN_POINTS} points, got {len(tile.points)}")
    origins = [tile.points.mean(0) for tile in (source, target)]  # small numbers
    clouds = [tile.points - origin for tile, origin in zip((source, target), origins, strict=True)]
    pairs = pair_by_descriptor(source.descriptors, target.descriptors, config.neighbors)
    open3d.utility.random.seed(config.seed)
    found = [_search(clouds[0], clouds[1], pairs, config) for _ in range(config.runs)]
    scores = [measure_overlap(clouds[0], clouds[1], motion, config.same_distance) for motion in found]
    best = int(np.argmax([overlap for overlap, _ in scores]))
    T_target_source = found[best].copy()
    T_target_source[:3, 3] += origins[1] - T_target_source[:3, :3] @ origins[0]
    overlap, rmse = scores[best]
    return GlobalResult(T_target_source, overlap, rmse, overlap >= config.min_overlap)


def pair_by_descriptor(source: Array, target: Array, neighbors: int) -> Array:
    """Return the pairs of source and target rows with the nearest descriptors, ``(n * neighbors, 2)`` int32."""
    neighbors = min(neighbors, len(target))
    _, nearest = cKDTree(target.astype(np.float64)).query(source.astype(np.float64), [*range(1, neighbors + 1)])
    return np.stack([np.repeat(np.arange(len(source)), neighbors), nearest.ravel()], 1).astype(np.int32)


def measure_overlap(source: Array, target: Array, T_target_source: Array, distance: float) -> tuple[float, float]:  # noqa: N803
    """Return the share of source points with a target point within a distance, and their rms distance, metres."""
    distances, _ = cKDTree(target).query(transform_points(T_target_source, source))
    near = distances[distances < distance]
    return len(near) / len(source), float(np.sqrt(np.mean(near**2))) if len(near) else 0.0


def _search(source: Array, target: Array, pairs: Array, config: GlobalConfig) -> Array:
    """Run RANSAC once and refine what it finds."""
    import open3d

    library = open3d.pipelines.registration
    moving, still = (open3d.geometry.PointCloud(open3d.utility.Vector3dVector(cloud)) for cloud in (source, target))
    point_to_point = library.TransformationEstimationPointToPoint(False)
    checks = [
        library.CorrespondenceCheckerBasedOnEdgeLength(_EDGE_RATIO),
        library.CorrespondenceCheckerBasedOnDistance(config.tolerance),
    ]
    motion = library.registration_ransac_based_on_correspondence(
        moving, still, open3d.utility.Vector2iVector(pairs), config.tolerance, point_to_point, 3, checks,
        library.RANSACConvergenceCriteria(config.iterations, 0.999),
    ).transformation  # fmt: skip
    for distance in _REFINEMENTS:
        motion = library.registration_icp(moving, still, distance, motion, point_to_point).transformation
    return np.array(motion)
