# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registration of a few points with a target cloud, by small_gicp or, in its place, by Open3D.

Both linearise at the estimate with a motion of the source, ``T exp(xi)``, ``xi = (translation, rotation)``.

Note:
    Of small_gicp the search tree, the planes and GICP are used, but the point-to-plane equations are ours: those of
    small_gicp 1.0.1 multiply normal and difference element by element instead of taking their scalar product, so that
    walls hold points along themselves and the result depends on how the frame is turned.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.config_io import param
from kpconv_ros.geometry.se3 import check_pose, motion_of_twist, transform_points
from kpconv_ros.kernels.plane_equations import move_points, sum_plane_equations
from kpconv_ros.registration.error import RegistrationError

Array = NDArray[Any]
MIN_POINTS = 10
"""Fewer points, of either cloud, determine no motion."""
_DAMPING = 1e-9  # of the mean information, so that equations that fix too little have an answer


class _Solution(NamedTuple):
    """What a library found."""

    pose: Array
    iterations: int
    converged: bool


@dataclass(frozen=True)
class SolverConfig:
    """How two clouds are registered."""

    solver: Literal["small_gicp", "open3d"] = param("small_gicp", "library that solves: small_gicp or open3d")
    method: Literal["plane", "gicp"] = param(
        "plane", "plane: point to plane; gicp: plane to plane, small_gicp only, for dense sources"
    )
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
    """A cloud to register with; planes and search tree are made when first needed, once, by the configured library."""

    def __init__(self, points: Array, config: SolverConfig) -> None:
        """Take over a cloud.

        Args:
            points: ``(M, 3)``, metres, target frame, finite.
            config: Library, neighbours of the planes, threads.

        Raises:
            RegistrationError: If there are too few points, the shape is wrong, or Open3D is to do gicp.
        """
        if config.solver == "open3d" and config.method != "plane":
            raise RegistrationError(f"method: expected plane for open3d, got {config.method}")
        self.points = check_cloud(points, "target", MIN_POINTS)
        self.config = config

    @cached_property
    def cloud(self) -> Any:
        """The library's cloud, with normals, and covariances for gicp."""
        make = _small_gicp_cloud if self.config.solver == "small_gicp" else _open3d_cloud
        return make(self.points, self.config)

    @cached_property
    def normals(self) -> Array:
        """Unit normals of the points, ``(M, 3)``; zero where too few are near."""
        if self.config.solver == "small_gicp":
            return np.ascontiguousarray(self.cloud[0].normals()[:, :3])
        return np.array(self.cloud.normals)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.points)

    def search(self, points: Array) -> tuple[Array, Array]:
        """Return, for each of ``points (m, 3)``, the row of the nearest ``(m,)`` and its squared distance ``(m,)``."""
        if self.config.solver == "small_gicp":
            nearest, squares = self.cloud[1].batch_nearest_neighbor_search(points, self.config.num_threads)
            return np.asarray(nearest), np.asarray(squares)
        distances, nearest = self._tree.query(points)
        return nearest, distances**2


def register(
    source: Array,
    target: Target,
    T_target_source: Array,  # noqa: N803
    config: SolverConfig | None = None,
) -> RegistrationResult:
    """Find the motion that lays the source on the target, from a guess.

    Args:
        source: ``(m, 3)``, metres, source frame, finite.
        target: The cloud to register with.
        T_target_source: Guess, ``(4, 4)``.
        config: Settings, of the target's library and method; None is those of the target.

    Raises:
        RegistrationError: If the source has too few points, a coordinate is not finite, or the settings are for
            another library or method.
        PoseError: If the guess is no rigid motion.
    """
    config = target.config if config is None else config
    if (config.solver, config.method) != (expected := (target.config.solver, target.config.method)):
        raise RegistrationError(f"solver: expected that of the target, {expected}, got {config.solver, config.method}")
    source = check_cloud(source, "source", MIN_POINTS)
    guess = check_pose(T_target_source, "T_target_source")
    if config.solver == "open3d":
        solution = _solve_by_open3d(source, target, guess, config)
    elif config.method == "gicp":
        solution = _solve_by_gicp(source, target, guess, config)
    else:
        solution = _solve_plane_equations(source, target, guess, config)
    return _summarise(source, target, solution, config)


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


def _solve_plane_equations(source: Array, target: Target, guess: Array, config: SolverConfig) -> _Solution:
    """Gauss-Newton steps on the distances from the nearest points' planes, weighted by Tukey's kernel."""
    pose = guess
    for iteration in range(config.max_iterations):
        information, gradient, _, count = _plane_equations(source, target, pose, config, robust=True)
        if count < MIN_POINTS:
            return _Solution(pose, iteration, False)
        information[np.diag_indices(6)] += _DAMPING * np.trace(information) / 6
        step = -np.linalg.solve(information, gradient)
        pose = pose @ motion_of_twist(step)
        is_small = np.linalg.norm(step[3:]) < config.rotation_epsilon
        if is_small and np.linalg.norm(step[:3]) < config.translation_epsilon:
            return _Solution(pose, iteration + 1, True)
    return _Solution(pose, config.max_iterations, False)


def _plane_equations(
    source: Array, target: Target, pose: Array, config: SolverConfig, robust: bool
) -> tuple[Array, Array, float, int]:
    moved = move_points(pose, source)
    nearest, squares = target.search(moved)
    found: tuple[Array, Array, float, int] = sum_plane_equations(
        source, moved, pose[:3, :3], target.points, target.normals, nearest, squares, config.max_distance, robust
    )
    return found


def _summarise(source: Array, target: Target, solution: _Solution, config: SolverConfig) -> RegistrationResult:
    information, _, total, count = _plane_equations(source, target, solution.pose, config, robust=False)
    return RegistrationResult(
        T_target_source=solution.pose,
        information=information,
        num_inliers=count,
        fitness=count / len(source),
        rmse=float(np.sqrt(total / max(count, 1))),
        iterations=solution.iterations,
        converged=solution.converged,
    )


def _small_gicp_cloud(points: Array, config: SolverConfig) -> Any:
    """Return a cloud with normals (and covariances for gicp), and its tree."""
    import small_gicp

    cloud = small_gicp.PointCloud(points)
    tree = small_gicp.KdTree(cloud, num_threads=config.num_threads)
    estimate = small_gicp.estimate_normals if config.method == "plane" else small_gicp.estimate_normals_covariances
    estimate(cloud, tree, num_neighbors=config.normal_neighbors, num_threads=config.num_threads)
    return cloud, tree


def _solve_by_gicp(source: Array, target: Target, guess: Array, config: SolverConfig) -> _Solution:
    import small_gicp

    cloud, tree = target.cloud
    found = small_gicp.align(
        cloud, _small_gicp_cloud(source, config)[0], tree, guess, registration_type="GICP",
        max_correspondence_distance=config.max_distance, num_threads=config.num_threads,
        max_iterations=config.max_iterations, rotation_epsilon=config.rotation_epsilon,
        translation_epsilon=config.translation_epsilon,
    )  # fmt: skip
    return _Solution(np.array(found.T_target_source), int(found.iterations), bool(found.converged))


def _open3d_cloud(points: Array, config: SolverConfig) -> Any:
    import open3d

    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(config.normal_neighbors))
    return cloud


def _solve_by_open3d(source: Array, target: Target, guess: Array, config: SolverConfig) -> _Solution:
    """Register by Open3D, with Tukey's kernel as well; it does not tell how many iterations it took."""
    import open3d

    library = open3d.pipelines.registration
    kernel: Any = library.TukeyLoss(config.max_distance)
    moving = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(source))
    estimation = library.TransformationEstimationPointToPlane(kernel)
    criteria = library.ICPConvergenceCriteria(1e-7, 1e-7, config.max_iterations)
    found = library.registration_icp(moving, target.cloud, config.max_distance, guess, estimation, criteria)
    return _Solution(np.array(found.transformation), config.max_iterations, len(found.correspondence_set) >= MIN_POINTS)


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
