# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registration of two samples: few points of both clouds, the target's with normals from before it was sampled.

:mod:`kpconv_ros.registration.solver` estimates normals from the target's neighbours, which a sample does not have.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.geometry.se3 import check_pose
from kpconv_ros.registration.solver import check_cloud

Array = NDArray[Any]


@dataclass(frozen=True)
class SampledConfig:
    """How two samples are registered: in stages, wide ones for a wrong guess before narrow ones for accuracy."""

    distances: tuple[float, ...] = param((6.0, 3.0, 2.0), "pairs farther apart are left out, by stage; metres", 0.01)
    robust_scales: tuple[float, ...] = param(
        (2.0, 1.0, 0.3), "plane distance at which a pair loses all weight (Tukey), by stage; metres", 1e-3
    )
    max_iterations: int = param(30, "most iterations of a stage", 1)

    def __post_init__(self) -> None:
        """Check that both are told for each stage.

        Raises:
            ConfigError: If they are not.
        """
        if not self.distances or len(self.distances) != len(self.robust_scales):
            raise ConfigError(
                f"expected as many distances as robust_scales, got {self.distances}, {self.robust_scales}"
            )


def register_samples(
    source: Array,
    target: Array,
    normals: Array,
    T_target_source: Array,  # noqa: N803
    config: SampledConfig = SampledConfig(),  # noqa: B008 - frozen
) -> Array:
    """Find the motion that lays the source sample on the planes of the target sample, by Open3D.

    Args:
        source: ``(m, 3)``, metres, source frame.
        target: ``(k, 3)``, metres, target frame.
        normals: ``(k, 3)``, target frame; zero where unknown, which takes no part.
        T_target_source: Guess, ``(4, 4)``.
        config: Settings.

    Returns:
        ``T_target_source``, ``(4, 4)`` float64.

    Raises:
        RegistrationError: If there are fewer than 10 points, or a coordinate is not finite.
        PoseError: If the guess is no rigid motion.
    """
    import open3d

    has_normal = normals.any(1)
    moving, fixed = (open3d.geometry.PointCloud() for _ in range(2))
    moving.points = open3d.utility.Vector3dVector(check_cloud(source, "source", 10))
    fixed.points = open3d.utility.Vector3dVector(check_cloud(target[has_normal], "target", 10))
    fixed.normals = open3d.utility.Vector3dVector(np.asarray(normals[has_normal], np.float64))
    library = open3d.pipelines.registration
    criteria = library.ICPConvergenceCriteria(1e-6, 1e-6, config.max_iterations)
    pose = check_pose(T_target_source, "T_target_source")
    for distance, scale in zip(config.distances, config.robust_scales, strict=True):
        method = library.TransformationEstimationPointToPlane(library.TukeyLoss(scale))
        pose = np.array(library.registration_icp(moving, fixed, distance, pose, method, criteria).transformation)
    return pose
