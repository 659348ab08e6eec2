# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of objects that clouds are drawn from."""

from pathlib import Path

import numpy as np
import pytest
from solids import write_modelnet

from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.object_sets import draw_cloud, fit_unit_cube, load_object_set
from kpconv_ros.data.objects.primitives import box

NO_FOLDER = Path()


def test_generated_objects_fill_the_unit_cube_around_their_mean() -> None:
    objects = load_object_set("generated", NO_FOLDER, "train", ["car", "lamp"], 3)
    assert objects.classes == ("car", "lamp") and objects.categories.tolist() == [0, 0, 0, 1, 1, 1]
    for surface in objects.surfaces:
        corners = surface.reshape(-1, 3)
        assert np.ptp(corners, axis=0).max() == pytest.approx(1)
        cloud = draw_cloud(surface, 20_000, np.random.default_rng(0))
        np.testing.assert_allclose(cloud.mean(0), 0, atol=0.01)


def test_a_published_dataset_gives_parts_of_its_clouds(tmp_path: Path) -> None:
    write_modelnet(tmp_path, {"train": 2, "test": 1})
    every = load_object_set("modelnet40", tmp_path, "train", [], 0)
    some = load_object_set("modelnet40", tmp_path, "train", ["bottle", "cone"], 0)
    present = sorted({every.classes[category] for category in every.categories})
    wanted = [name for name in ("bottle", "cone") if name in present]
    assert some.classes == ("bottle", "cone") and len(some.surfaces) == 2 * len(wanted)
    surface = every.surfaces[0]
    assert surface.ndim == 2 and np.ptp(surface, axis=0).max() == pytest.approx(1)
    np.testing.assert_allclose(surface.mean(0), 0, atol=1e-9)
    cloud = draw_cloud(surface, 100, np.random.default_rng(0))
    rows = {tuple(row) for row in surface.astype(np.float32)}
    assert len({tuple(row) for row in cloud}) == 100 and all(tuple(row) in rows for row in cloud)


def test_points_are_spread_by_area() -> None:
    surface = np.concatenate([box((0, 0, 0), (1, 1, 1)), box((5, 0, 0), (2, 2, 2))])
    cloud = draw_cloud(surface, 5000, np.random.default_rng(0))
    assert (cloud[:, 0] > 2).mean() == pytest.approx(0.8, abs=0.02)
    assert fit_unit_cube(surface).reshape(-1, 3).max(0)[0] < 0.5  # the mean lies in the larger box


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    write_modelnet(tmp_path, {"train": 1, "test": 1})
    with pytest.raises(DatasetError, match="classes: expected some of"):
        load_object_set("modelnet40", tmp_path, "train", ["boat"], 0)
    with pytest.raises(DatasetError, match="expected objects of"):
        load_object_set("generated", NO_FOLDER, "train", ["car"], 0)
    with pytest.raises(DatasetError, match="at least 11 points, got 10"):
        draw_cloud(np.zeros((10, 3)), 11, np.random.default_rng(0))
