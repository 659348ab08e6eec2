# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera of pictures: what is far, what is left, what is hidden."""

import numpy as np

from kpconv_ros.evaluation.camera import look_from_behind


def test_the_camera_sees_far_points_above_near_ones_and_draws_them_first():
    view = look_from_behind(np.array([[10.0, 0, 0], [40.0, 0, 0], [-500.0, 0, 0]]), azimuth=0.0)
    assert view.order.tolist() == [1, 0]
    assert view.up[1] > view.up[0] and view.size[1] < view.size[0]
    assert abs(view.across[0]) < 1e-9


def test_the_left_of_the_sensor_is_left_in_the_picture():
    view = look_from_behind(np.array([[10.0, 5, 0], [10.0, -5, 0]]), azimuth=0.0)
    assert view.across[0] < 0 < view.across[1]
