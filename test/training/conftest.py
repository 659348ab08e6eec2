# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small clip to train on: a floor and a wall."""

from pathlib import Path

import numpy as np
import pytest

from kpconv_ros.data.clips import Clip
from kpconv_ros.training.segment import SegmentTraining
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import make_cutter

TINY = {"width": 8, "batch_points": 300, "steps": 4, "voxel_size": 0.3, "sphere_radius": 2.0, "device": "cpu"}


def make_clip(num_scans: int = 3) -> Clip:
    """Return scans of a floor of label 1 and a wall of label 4; some points have no label."""
    generator = np.random.default_rng(0)
    floor, wall = generator.uniform(-4, 4, (2, num_scans, 1500, 3))
    floor[..., 2], wall[..., 0] = -1.9, 4.0
    points = np.concatenate([floor, wall], 1).astype(np.float32)
    labels = np.repeat(np.array([[1, 4]], np.uint8), 1500, axis=1).repeat(num_scans, 0)
    labels[:, ::10] = 0
    sensors = np.stack([np.arange(num_scans), np.zeros(num_scans), np.zeros(num_scans)], 1).astype(np.float64)
    intensity = generator.uniform(0, 1, labels.shape).astype(np.float32)
    return Clip(tuple(points), tuple(intensity), tuple(labels), sensors, sensors[:, 2] - 1.9)


@pytest.fixture
def clip() -> Clip:
    """Three scans."""
    return make_clip()


@pytest.fixture
def make_training(clip: Clip):  # type: ignore[no-untyped-def]
    """Return a function that starts, or resumes, a training in a folder."""

    def make(out: Path, **changes: object) -> SegmentTraining:
        config = SegmentTrainingConfig(**{**TINY, **changes})  # type: ignore[arg-type]
        out.mkdir(exist_ok=True)
        return SegmentTraining(config, make_cutter(config, [clip]), out)

    return make
