# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of clouds of one kind of object with as many points each, as NeuralQAAD compresses them: heads.

A head is ``neutral + sum_i w_i identity_i + sum_j v_j expression_j`` of ICT FaceKit (Li et al., "Learning Formation of
Physically-Based Face Attributes", CVPR 2020). The order of its points is drawn anew: correspondence is withheld.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.config_io import param
from kpconv_ros.data.labelled_cloud import DatasetError

SHAPES = ("neutral", "identity_delta_i16", "identity_scale", "expression_delta_i16", "expression_scale")
"""Arrays of a shape file: ``(V, 3)`` cm; ``(I, V, 3)`` int16 in steps of ``(I,)`` cm; ``(E, V, 3)`` int16, one step."""
MM_PER_CM = 10.0
ACTIVE_EXPRESSIONS = 0.1  # share of the expressions that a head shows


@dataclass(frozen=True)
class CloudSetConfig:
    """Which clouds."""

    file: str = param("", ".npz with the shapes that heads are made of, or .npy with clouds (N, M, 3)")
    num_clouds: int = param(48, "clouds N", 1)
    num_points: int = param(7680, "points M of each", 1)
    seed: int = param(0, "of the heads, of the points kept and of their order", 0)


class CloudSet(NamedTuple):
    """Clouds around the origin with a standard deviation of about 1."""

    clouds: Tensor
    """``(N, M, 3)``."""
    unit: float
    """Length of 1 here: millimetres for heads, else in the unit of the file."""


def load_cloud_set(config: CloudSetConfig) -> CloudSet:
    """Read or make clouds, thin them to ``num_points`` and shuffle the points of each.

    All heads keep the same vertices of the model, those of a file the same rows; which is not told.

    Raises:
        DatasetError: If the file is no such thing, or holds too few clouds or points.
    """
    path, generator = Path(config.file), np.random.default_rng(config.seed)
    if not path.is_file():
        raise DatasetError(f"file: expected clouds or shapes, got {config.file!r}, which is missing")
    clouds = _make_heads(path, config, generator) if path.suffix == ".npz" else _read_clouds(path, config, generator)
    clouds = np.stack([cloud[generator.permutation(len(cloud))] for cloud in clouds])
    center = clouds.mean((0, 1))
    unit = float((clouds - center).std())
    return CloudSet(torch.from_numpy(((clouds - center) / unit).astype(np.float32)), unit)


def _make_heads(path: Path, config: CloudSetConfig, generator: np.random.Generator) -> NDArray[np.float64]:
    with np.load(path) as shapes:
        missing = [name for name in SHAPES if name not in shapes]
        if missing:
            raise DatasetError(f"{path}: expected the arrays {', '.join(SHAPES)}, got none named {', '.join(missing)}")
        neutral, identity, identity_scale, expression, expression_scale = (shapes[name] for name in SHAPES)
    kept = _keep(len(neutral), config, generator, path)
    heads = np.empty((config.num_clouds, len(kept), 3))
    for head in heads:
        weights = generator.standard_normal(len(identity)) * identity_scale
        shown = generator.random(len(expression)) * (generator.random(len(expression)) < ACTIVE_EXPRESSIONS)
        head[:] = neutral[kept] + np.tensordot(weights, identity[:, kept], 1)
        head += np.tensordot(shown * expression_scale, expression[:, kept], 1)
    return heads * MM_PER_CM


def _read_clouds(path: Path, config: CloudSetConfig, generator: np.random.Generator) -> NDArray[np.float64]:
    try:
        clouds = np.load(path, mmap_mode="r")
    except ValueError as error:
        raise DatasetError(f"{path}: expected an array (N, M, 3): {error}") from error
    if clouds.ndim != 3 or clouds.shape[2] != 3 or len(clouds) < config.num_clouds:
        raise DatasetError(f"{path}: expected at least {config.num_clouds} clouds (N, M, 3), got {clouds.shape}")
    kept = _keep(clouds.shape[1], config, generator, path)
    return np.asarray(clouds[: config.num_clouds][:, kept], dtype=np.float64)


def _keep(count: int, config: CloudSetConfig, generator: np.random.Generator, path: Path) -> NDArray[np.int64]:
    if count < config.num_points:
        raise DatasetError(f"{path}: expected clouds of at least {config.num_points} points, got {count}")
    return np.sort(generator.choice(count, config.num_points, replace=False))
