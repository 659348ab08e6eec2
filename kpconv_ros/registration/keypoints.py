# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points of a map that are found again in another map of the place, and descriptors by which they are recognised.

Keypoints are those of Zhong, "Intrinsic Shape Signatures", ICCV Workshops 2009; descriptors the Fast Point Feature
Histograms of Rusu et al., ICRA 2009, of the whole map, computed by Open3D. Of each of their three histograms the cosine
transform keeps the slow part: four numbers each, twelve instead of thirty-three.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.spatial import cKDTree

from kpconv_ros.config_io import param
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.map_tile import DESCRIPTOR_SIZE, MAX_POINTS, MapTile
from kpconv_ros.registration.solver import check_cloud

Array = NDArray[Any]
_HISTOGRAMS, _BINS = 3, 11  # of an FPFH
_HISTOGRAM_SUM = 100.0
_MAX_LEVEL = 127


@dataclass(frozen=True)
class KeypointConfig:
    """How keypoints are found and described; both maps must be described alike."""

    voxel_size: float = param(0.5, "the map is thinned to one point a voxel, metres", 0.05, 10.0)
    normal_radius: float = param(1.5, "reach of the plane through a point, metres", 0.1, 20.0)
    salient_radius: float = param(2.0, "neighbourhood whose shape makes a point salient, metres", 0.1, 20.0)
    feature_radius: float = param(3.0, "neighbourhood that a descriptor tells of, metres", 0.1, 50.0)
    max_points: int = param(212, "points of a tile; so many fit into a message of 4,096 bytes", 4, MAX_POINTS)


def find_keypoints(points: Array, viewpoint: Array, config: KeypointConfig | None = None) -> MapTile:
    """Sample a map: its most salient points, each with a descriptor.

    Args:
        points: ``(N, 3)``, metres, map frame, finite.
        viewpoint: ``(3,)``, where the map was seen from; it decides which side of a surface is its outside.
        config: Settings; None takes the defaults.

    Raises:
        RegistrationError: If a shape is wrong, a coordinate is not finite, or fewer than four keypoints are found.
    """
    import open3d

    config = KeypointConfig() if config is None else config
    points = check_cloud(points, "points", 1)
    viewpoint = check_cloud(np.reshape(viewpoint, (1, -1)), "viewpoint", 1)[0]
    search = open3d.geometry.KDTreeSearchParamHybrid
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points - viewpoint))  # small numbers
    cloud = cloud.voxel_down_sample(config.voxel_size)
    cloud.estimate_covariances(search(config.normal_radius, 30))
    cloud.estimate_normals(search(config.normal_radius, 30))
    cloud.orient_normals_towards_camera_location(np.zeros(3))
    found = open3d.geometry.keypoint.compute_iss_keypoints(
        cloud, config.salient_radius, config.normal_radius, gamma_21=0.95, gamma_32=0.95
    )
    if len(found.points) < 4:
        raise RegistrationError(f"points: expected a map with at least 4 keypoints, got {len(found.points)}")
    thinned = np.asarray(cloud.points)
    rows = cKDTree(thinned).query(np.asarray(found.points))[1]
    saliency = np.linalg.eigvalsh(np.asarray(cloud.covariances)[rows])[:, 0]
    rows = rows[np.argsort(-saliency, kind="stable")][: config.max_points]
    compute_fpfh: Any = open3d.pipelines.registration.compute_fpfh_feature
    histograms = compute_fpfh(cloud, search(config.feature_radius, 100)).data.T
    return MapTile(thinned[rows] + viewpoint, compress_histograms(histograms[rows]))


def compress_histograms(histograms: Array) -> Array:
    """Keep the slow part of FPFHs.

    Args:
        histograms: ``(n, 33)``, three histograms that sum to 100 each.

    Returns:
        ``(n, 12)`` int8.
    """
    split = np.reshape(histograms, (-1, _HISTOGRAMS, _BINS))
    kept = dct(split, axis=2, norm="ortho")[:, :, 1 : 1 + DESCRIPTOR_SIZE // _HISTOGRAMS]  # the first is always the sum
    levels = np.rint(kept * (_MAX_LEVEL / _HISTOGRAM_SUM))
    descriptors: Array = np.clip(levels, -_MAX_LEVEL, _MAX_LEVEL).astype(np.int8)
    return descriptors.reshape(len(split), DESCRIPTOR_SIZE)
