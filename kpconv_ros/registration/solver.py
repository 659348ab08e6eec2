# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registration of a few points with a target cloud by a library: small_gicp, or Open3D in its place.

Both linearise at the estimate with a motion of the source, ``T exp(xi)``, ``xi = (translation, rotation)``.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import small_gicp
from numpy.typing import NDArray

from kpconv_ros.config_io import param
from kpconv_ros.geometry.se3 import check_pose, transform_points
from kpconv_ros.registration.error import RegistrationError

Array = NDArray[Any]
MIN_POINTS = 10
"""Fewer points, of either cloud, determine no motion."""


@dataclass(frozen=True)
class SolverConfig:
    """How two clouds are registered."""

    library: Literal["small_gicp", "open3d"] = param("small_gicp", "library that solves: small_gicp or open3d")
    method: Literal["plane", "gicp"] = param("plane", "plane: point to plane; gicp: plane to plane, for dense sources")
    max_distance: float = param(1.0, "pairs farther apart are left out, metres", 0.01, 100.0)
    max_iterations: int = param(20, "most iterations", 1, 1000)
    rotation_epsilon: float = param(1e-4, "converged when an iteration turns less, radians", 1e-9, 1.0)
    translation_epsilon: float = param(1e-4, "converged when an iteration moves less, metres", 1e-9, 1.0)
    normal_neighbors: int = param(12, "points through which the plane at a target point is laid", 5, 200)
    num_threads: int = param(1, "threads of the solver", 1, 256)


@dataclass(frozen=True)
class RegistrationResult:
    """What a registration found."""

    T_target_source: Array
    """``(4, 4)`` float64."""
    information: Array
    """Hessian of half the squared plane distances, ``(6, 6)``, by a motion of the source: translation [m] first,
    then rotation [rad], both in the source frame. Divided by the variance of a distance it is the inverse
    covariance."""
    num_inliers: int
    """Source points with a target point within the largest distance."""
    fitness: float
    """Share of the source points that are inliers, 0..1."""
    rmse: float
    """Root mean square of the inliers' distances from their planes, metres."""
    iterations: int
    """Iterations done."""
    converged: bool
    """Whether the last one moved less than the epsilons."""


class Target:
    """A cloud to register with; planes and search tree are made when first needed, once."""

    def __init__(self, points: Array, config: SolverConfig) -> None:
        """Take over a cloud.

        Args:
            points: ``(M, 3)``, metres, target frame, finite.
            config: Neighbours of the planes and threads.

        Raises:
            RegistrationError: If there are too few points, or the shape is wrong.
        """
        self.points = check_cloud(points, "target", MIN_POINTS)
        self.config = config

    @cached_property
    def small_gicp_cloud(self) -> tuple[small_gicp.PointCloud, small_gicp.KdTree]:
        """The cloud with normals (and covariances for gicp), and its tree."""
        return _small_gicp_cloud(self.points, self.config)

    @cached_property
    def normals(self) -> Array:
        """Unit normals of the points, ``(M, 3)``; zero where too few are near."""
        return np.ascontiguousarray(self.small_gicp_cloud[0].normals()[:, :3])

    @cached_property
    def open3d_cloud(self) -> Any:
        """The cloud with normals."""
        return _open3d_cloud(self.points, self.config)


def register(
    source: Array,
    target: Target,
    T_target_source: Array,
    config: SolverConfig | None = None,  # noqa: N803
) -> RegistrationResult:
    """Find the motion that lays the source on the target, from a guess.

    Args:
        source: ``(m, 3)``, metres, source frame, finite.
        target: The cloud to register with.
        T_target_source: Guess, ``(4, 4)``.
        config: Settings; None is those of the target.

    Raises:
        RegistrationError: If the source has too few points, or a coordinate is not finite.
        PoseError: If the guess is no rigid motion.
    """
    config = target.config if config is None else config
    source = check_cloud(source, "source", MIN_POINTS)
    guess = check_pose(T_target_source, "T_target_source")
    solve = _solve_by_small_gicp if config.library == "small_gicp" else _solve_by_open3d
    return solve(source, target, guess, config)


def check_cloud(points: Array, name: str, at_least: int) -> Array:
    """Return a cloud as float64 ``(N, 3)``.

    Raises:
        RegistrationError: If the shape is wrong, a coordinate is not finite, or there are fewer points.
    """
    points = np.ascontiguousarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise RegistrationError(f"{name}: expected shape (N, 3), got {points.shape}")
    if len(points) < at_least:
        raise RegistrationError(f"{name}: expected at least {at_least} points, got {len(points)}")
    if not np.isfinite(points).all():
        raise RegistrationError(f"{name}: expected finite coordinates, got some that are not")
    return points


def _small_gicp_cloud(points: Array, config: SolverConfig) -> tuple[small_gicp.PointCloud, small_gicp.KdTree]:
    cloud = small_gicp.PointCloud(points)
    tree = small_gicp.KdTree(cloud, num_threads=config.num_threads)
    estimate = small_gicp.estimate_normals if config.method == "plane" else small_gicp.estimate_normals_covariances
    estimate(cloud, tree, num_neighbors=config.normal_neighbors, num_threads=config.num_threads)
    return cloud, tree


def _solve_by_small_gicp(source: Array, target: Target, guess: Array, config: SolverConfig) -> RegistrationResult:
    cloud, tree = target.small_gicp_cloud
    moving = _small_gicp_cloud(source, config)[0] if config.method == "gicp" else small_gicp.PointCloud(source)
    found = small_gicp.align(
        cloud, moving, tree, guess,
        registration_type="PLANE_ICP" if config.method == "plane" else "GICP",
        max_correspondence_distance=config.max_distance, num_threads=config.num_threads,
        max_iterations=config.max_iterations, rotation_epsilon=config.rotation_epsilon,
        translation_epsilon=config.translation_epsilon,
    )  # fmt: skip
    inliers = int(found.num_inliers)
    return RegistrationResult(
        T_target_source=np.array(found.T_target_source),
        information=np.roll(found.H, 3, (0, 1)),  # its rotation comes first
        num_inliers=inliers,
        fitness=inliers / len(source),
        rmse=float(np.sqrt(2.0 * found.error / max(inliers, 1))),  # the error is half the sum of squares
        iterations=int(found.iterations),
        converged=bool(found.converged),
    )


def _open3d_cloud(points: Array, config: SolverConfig) -> Any:
    import open3d

    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(config.normal_neighbors))
    if config.method == "gicp":
        cloud.estimate_covariances(open3d.geometry.KDTreeSearchParamKNN(config.normal_neighbors))
    return cloud


def _solve_by_open3d(source: Array, target: Target, guess: Array, config: SolverConfig) -> RegistrationResult:
    """Register by Open3D, with a robust kernel: Tukey's, whose weight is 0 at the largest distance."""
    import open3d

    library = open3d.pipelines.registration
    cloud = target.open3d_cloud
    kernel: Any = library.TukeyLoss(config.max_distance)
    estimation: Any
    if config.method == "plane":
        moving = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(source))
        estimation, solve = library.TransformationEstimationPointToPlane(kernel), library.registration_icp
    else:
        moving = _open3d_cloud(source, config)
        estimation = library.TransformationEstimationForGeneralizedICP(kernel)
        solve = library.registration_generalized_icp
    criteria = library.ICPConvergenceCriteria(1e-7, 1e-7, config.max_iterations)
    found = solve(moving, cloud, config.max_distance, guess, estimation, criteria)
    T_target_source = np.array(found.transformation)
    pairs = np.asarray(found.correspondence_set)
    information, distances = plane_information(
        source[pairs[:, 0]], target.points[pairs[:, 1]], np.asarray(cloud.normals)[pairs[:, 1]], T_target_source
    )
    return RegistrationResult(
        T_target_source=T_target_source,
        information=information,
        num_inliers=len(pairs),
        fitness=len(pairs) / len(source),
        rmse=float(np.sqrt(np.mean(distances**2))) if len(pairs) else 0.0,
        iterations=config.max_iterations,  # Open3D does not tell
        converged=True,
    )


def plane_information(
    source: Array,
    target: Array,
    normals: Array,
    T_target_source: Array,  # noqa: N803
) -> tuple[Array, Array]:
    """Linearise the distances of paired points from their planes.

    Args:
        source: ``(m, 3)``, source frame.
        target: ``(m, 3)``, target frame.
        normals: ``(m, 3)``, unit length, target frame.
        T_target_source: Where to linearise.

    Returns:
        The information ``(6, 6)`` as in :class:`RegistrationResult`, and the distances ``(m,)``, metres.
    """
    distances = np.einsum("ij,ij->i", transform_points(T_target_source, source) - target, normals)
    turned = normals @ T_target_source[:3, :3]  # R^T n
    jacobian = np.hstack([turned, np.cross(source, turned)])  # (m, 6)
    return jacobian.T @ jacobian, distances
