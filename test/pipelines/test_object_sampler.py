# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A sampler on the cloud of one object."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kpconv_ros.networks.samplenet import SampleNet, SampleNetConfig
from kpconv_ros.pipelines.object_sampler import ObjectSampler
from kpconv_ros.pipelines.sphere_classifier import PipelineError
from kpconv_ros.sampling_checkpoint import save_sampling_model


@pytest.fixture
def sampler(tmp_path: Path) -> ObjectSampler:
    """A sampler of eight points with random weights."""
    torch.manual_seed(0)
    network = SampleNet(SampleNetConfig(num_samples=8, point_widths=(16,), hidden=(16,)))
    save_sampling_model(tmp_path / "small", network, {"name": "small", "classes": ("car",)})
    return ObjectSampler.from_pretrained(tmp_path / "small", "cpu")


def test_unit_and_place_of_an_object_do_not_matter(sampler: ObjectSampler) -> None:
    points = np.random.default_rng(0).random((60, 3))
    rows = sampler.sample(points)
    assert rows.shape == (8,) and len(set(rows.tolist())) == 8
    assert sampler.sample(points * 4 + [300, -20, 5]).tolist() == rows.tolist()
    assert sampler.sample(points, 3).tolist() == rows[:3].tolist()


def test_points_that_are_not_finite_are_left_out(sampler: ObjectSampler) -> None:
    points = np.random.default_rng(0).random((60, 3))
    rows = sampler.sample(points)
    holed = np.insert(points, [0, 30], np.nan, axis=0)
    assert np.array_equal(holed[sampler.sample(holed)], points[rows])
    with pytest.raises(PipelineError, match="expected 1 to 60, the number of finite points, got 61"):
        sampler.sample(holed, 61)
