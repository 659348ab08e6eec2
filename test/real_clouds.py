# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small batches cut from a real scan, in the place of random ones, and what the tests of kernels take them from."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_clouds import Batch, random_batch, random_features
from torch import Tensor

SOURCES = ["random", pytest.param("real", marks=pytest.mark.data)]
PLACE = (0.83, -3.754, -0.994)
"""Centre of the crops of the real scan, metres: a dense spot, where something upright stands on the ground."""
FeatureMaker = Callable[[Tensor, int], Tensor]


class CloudSource(NamedTuple):
    """Where the points of a test come from."""

    batch: Batch
    features: FeatureMaker
    """From points ``(N, 3)`` and C to ``(N, C)``."""


def near_place(points: NDArray[Any], size: float) -> NDArray[np.bool_]:
    """Return which points ``(N, 3)`` of the scan lie within ``size`` metres of the place."""
    near: NDArray[np.bool_] = np.linalg.norm(points - PLACE, axis=1) < size
    return near


def real_batch(points: NDArray[Any], lengths: list[int], size: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return points ``(N, 3)`` of a crop of ``size`` metres around a place of the scan, and their lengths.

    Whatever the seed, cloud b is the first of the same points: queries are supports too, as in a network.
    """
    del seed
    near = torch.from_numpy(points[near_place(points, size)])
    clouds = []
    for cloud, num_points in enumerate(lengths):
        order = torch.randperm(len(near), generator=torch.Generator().manual_seed(cloud))
        clouds.append(near[order[:num_points]])
    return torch.cat(clouds), torch.tensor(lengths)


def real_features(points: Tensor, channels: int) -> Tensor:
    """Return what a first layer with random weights makes of one, height and range of the points, ``(N, C)``."""
    inputs = torch.stack([torch.ones(len(points)), points[:, 2], points.norm(dim=1).log1p()], 1)
    weights = torch.randn(3, channels, generator=torch.Generator().manual_seed(channels))
    return torch.nn.functional.leaky_relu(inputs @ weights, 0.1)


def cloud_source(request: pytest.FixtureRequest) -> CloudSource:
    """Return the source that a fixture with the parameters :data:`SOURCES` asks for."""
    if request.param == "random":
        return CloudSource(random_batch, random_features)
    return CloudSource(partial(real_batch, request.getfixturevalue("real_scan").points), real_features)
