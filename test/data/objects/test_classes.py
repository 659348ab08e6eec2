# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Generated objects."""

import numpy as np
import pytest

from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.objects.classes import MAKERS, generate_objects


@pytest.mark.parametrize("name", MAKERS)
def test_a_class_has_objects_that_differ_and_stay_the_same(name: str) -> None:
    train, again, test = (generate_objects(name, *which) for which in (("train", 4), ("train", 6), ("test", 4)))
    assert all(np.array_equal(a, b) for a, b in zip(train, again))
    sizes = {tuple(np.ptp(mesh.reshape(-1, 3), axis=0).round(6)) for mesh in (*again, *test)}
    assert len(sizes) == 10  # no object twice, and none in two splits
    for mesh in (*again, *test):
        assert mesh.ndim == 3 and mesh.shape[1:] == (3, 3) and np.isfinite(mesh).all()


def test_cars_stand_on_their_wheels_and_point_forward() -> None:
    for car in generate_objects("car", "test", 20):
        low, high = car.reshape(-1, 3).min(0), car.reshape(-1, 3).max(0)
        length, width, height = high - low
        assert low[2] == pytest.approx(0, abs=1e-6) and length > 1.5 * width > height
        assert (low[1] + high[1]) == pytest.approx(0, abs=1e-6)


def test_what_is_unknown_is_named() -> None:
    with pytest.raises(DatasetError, match="got 'boat', 'train'"):
        generate_objects("boat", "train", 1)
    with pytest.raises(DatasetError, match="got 'car', 'val'"):
        generate_objects("car", "val", 1)
