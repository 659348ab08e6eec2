# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of the three tasks that learned sampling is studied on: registration, classification, reconstruction.

Lang et al., "SampleNet", CVPR 2020, section 4. In registration the source is the template turned by three Euler angles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.config_io import param
from kpconv_ros.data.object_sets import ObjectData, ObjectSet, draw_cloud, load_object_set

Task = Literal["registration", "classification", "reconstruction"]


@dataclass(frozen=True)
class ObjectTaskConfig:
    """A task and its objects. Lengths are in longest sides of an object, angles in radians."""

    task: Task = param("registration", "what the network does")
    data: ObjectData = param("generated", "objects that the package makes, or a dataset")
    root: str = param("", "folder of the dataset")
    classes: tuple[str, ...] = param((), "object classes; none takes all")
    num_points: int = param(1024, "points of a cloud", 1)
    train_objects: int = param(197, "generated objects of each class to train on", 1)
    test_objects: int = param(100, "generated objects of each class to test on", 1)
    max_angle: float = param(0.7853981633974483, "registration: Euler angles are within +- this", 0.0, 3.1415927)
    max_translation: float = param(0.0, "registration: each coordinate within +- this", 0.0)
    exact_copies: bool = param(False, "registration: the source has the template's very points, else drawn anew")
    yaw: bool = param(False, "other tasks: turn objects about the vertical at random")
    jitter: float = param(0.0, "noise on every coordinate, standard deviation", 0.0)


class TaskBatch(NamedTuple):
    """Clouds and what is to be found out about them."""

    clouds: Tensor
    """``(B, c, n, 3)``: template and source in registration, else one cloud."""
    rotations: Tensor
    """From template to source, ``(B, 3, 3)``; the identity in other tasks."""
    translations: Tensor
    """``(B, 3)``."""
    categories: Tensor
    """Object class, ``(B,)`` int64."""


def load_task_objects(config: ObjectTaskConfig, split: str) -> ObjectSet:
    """Generate or read the objects of a split.

    Raises:
        DatasetError: As :func:`kpconv_ros.data.object_sets.load_object_set`.
    """
    count = config.train_objects if split == "train" else config.test_objects
    return load_object_set(config.data, Path(config.root), split, config.classes, count)


def draw_batch(objects: ObjectSet, rows: Sequence[int], config: ObjectTaskConfig, generator: Generator) -> TaskBatch:
    """Draw clouds of the objects in ``rows``."""
    examples = [_draw_example(objects.surfaces[row], config, generator) for row in rows]
    clouds, rotations, translations = (torch.from_numpy(np.stack(parts)).float() for parts in zip(*examples))
    return TaskBatch(clouds, rotations, translations, torch.from_numpy(objects.categories[list(rows)]))


def _draw_example(
    surface: NDArray[np.float64], config: ObjectTaskConfig, generator: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return clouds ``(c, n, 3)``, rotation and translation."""
    cloud = draw_cloud(surface, config.num_points, generator)
    rotation, translation = np.eye(3), np.zeros(3)
    if config.task == "registration":
        rotation = euler_rotation(generator.uniform(-config.max_angle, config.max_angle, 3))
        translation = generator.uniform(-config.max_translation, config.max_translation, 3)
        again = cloud if config.exact_copies else draw_cloud(surface, config.num_points, generator)
        clouds = np.stack([cloud, again @ rotation.T + translation])
    else:
        turned = euler_rotation(np.array([0.0, 0.0, generator.uniform(-np.pi, np.pi) if config.yaw else 0.0]))
        clouds = (cloud @ turned.T)[None]
    if config.jitter:
        clouds = clouds + generator.normal(0, config.jitter, clouds.shape)
    return clouds, rotation, translation


def euler_rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Rz Ry Rx of the angles about x, y, z, ``(3,)`` radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    rotation: NDArray[np.float64] = about_z @ about_y @ about_x
    return rotation
