# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of the tasks of learned sampling."""

import math

import numpy as np
import pytest
import torch

from kpconv_ros.data.object_tasks import ObjectTaskConfig, draw_batch, euler_rotation, load_task_objects
from kpconv_ros.geometry.distances import chamfer_distances
from kpconv_ros.geometry.rotations import apply_motions

CARS = ObjectTaskConfig(classes=("car",), num_points=300, train_objects=3, test_objects=2, max_translation=0.1)


def test_euler_angles_are_applied_about_x_then_y_then_z() -> None:
    quarter = math.pi / 2
    np.testing.assert_allclose(euler_rotation(np.array([quarter, 0, 0])) @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(euler_rotation(np.array([quarter, 0, quarter])) @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(euler_rotation(np.array([0, quarter, quarter])) @ [0, 0, 1], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("exact", [True, False])
def test_a_source_is_its_template_moved(exact: bool) -> None:
    config = ObjectTaskConfig(**{**vars(CARS), "exact_copies": exact})
    batch = draw_batch(load_task_objects(config, "train"), [0, 2, 1], config, np.random.default_rng(0))
    templates, sources = batch.clouds.unbind(1)
    moved = apply_motions(batch.rotations, batch.translations, templates)
    if exact:
        assert torch.allclose(moved, sources, atol=1e-6)
    else:
        assert (torch.cdist(moved, sources).amin(2) > 1e-4).float().mean() > 0.95  # points of their own
        assert chamfer_distances(moved, sources).max() < 0.01 < chamfer_distances(templates, sources).max()
    assert batch.translations.abs().max() <= 0.1
    assert not torch.allclose(batch.rotations[0], batch.rotations[1])


def test_objects_of_the_other_tasks_turn_only_about_the_vertical() -> None:
    config = ObjectTaskConfig("classification", classes=("table", "car"), num_points=300, train_objects=1, yaw=True)
    objects = load_task_objects(config, "train")
    batch = draw_batch(objects, [0, 1, 1], config, np.random.default_rng(1))
    assert batch.clouds.shape == (3, 1, 300, 3) and batch.categories.tolist() == [0, 1, 1]
    assert batch.rotations.equal(torch.eye(3).expand(3, 3, 3))
    high = [surface.reshape(-1, 3)[:, 2].max() for surface in objects.surfaces]
    assert batch.clouds[:, 0, :, 2].amax(1).tolist() == pytest.approx([high[0], high[1], high[1]], abs=0.03)
    assert chamfer_distances(batch.clouds[1], batch.clouds[2]) > 0.003  # one car, turned differently


def test_noise_is_as_large_as_asked() -> None:
    still = ObjectTaskConfig("reconstruction", classes=("car",), num_points=2000, train_objects=1)
    noisy = ObjectTaskConfig(**{**vars(still), "jitter": 0.02})
    objects = load_task_objects(still, "train")
    one, other = (draw_batch(objects, [0], c, np.random.default_rng(0)).clouds for c in (still, noisy))
    assert (other - one).std().item() == pytest.approx(0.02, rel=0.05)
