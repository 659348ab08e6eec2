# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Times of points come out as seconds after the stamp, whatever the driver calls, counts and stores them in."""

import numpy as np
import pytest

from kpconv_ros.data.point_times import read_times
from kpconv_ros.data.pointcloud2 import PointCloud2Error, pack_points, read_points

STAMP = 1_700_000_000.25
SECONDS = np.linspace(0.0, 0.1, 11)  # after the stamp


def cloud_of(name, values, **more):
    xyz = dict.fromkeys("xyz", np.zeros(len(values), np.float32))
    return read_points(pack_points({**xyz, **more, name: values}))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("t", (SECONDS * 1e9).astype(np.uint32)),  # Ouster
        ("time", SECONDS.astype(np.float32)),  # Velodyne
        ("offset_time", (SECONDS * 1e9).astype(np.uint32)),  # Livox
        ("timestamp", STAMP + SECONDS),  # Hesai, Robosense
        ("timestamp", (STAMP + SECONDS) * 1e9),  # Livox, double nanoseconds: 256 ns apart
        ("Time_Stamp", (SECONDS * 1e6).astype(np.int32)),
        ("time", SECONDS * 1e3),
        ("timestamp", 77.0 + SECONDS),  # of the sensor's own clock
    ],
)
def test_every_drivers_times_are_read(name, values):
    np.testing.assert_allclose(read_times(cloud_of(name, values), STAMP), SECONDS, atol=2e-6)


def test_times_before_the_stamp_stay_before_it():
    times = (SECONDS - 0.1).astype(np.float32)
    np.testing.assert_allclose(read_times(cloud_of("time", times), STAMP), times)


def test_the_unit_and_the_field_may_be_told():
    ticks = np.arange(11, dtype=np.uint16)
    cloud = cloud_of("t", ticks * 0, column=ticks)
    assert read_times(cloud, STAMP) is None  # all equal
    np.testing.assert_allclose(read_times(cloud, STAMP, "column", "ms"), ticks * 1e-3)
    with pytest.raises(PointCloud2Error, match="expected the time field 'row' among them"):
        read_times(cloud, STAMP, "row")
    with pytest.raises(
        PointCloud2Error, match=r"field 'column': got a scan of 10.0 s \(unit s\), expected at most 2.0"
    ):
        read_times(cloud, STAMP, "column", "s")


def test_a_time_that_is_not_finite_is_the_mean_of_the_others():
    times = SECONDS.copy()
    times[3] = np.nan
    read = read_times(cloud_of("time", times), STAMP)
    assert read[3] == pytest.approx(np.delete(SECONDS, 3).mean())


@pytest.mark.parametrize("values", [np.zeros(0), np.full(4, np.nan), np.full(4, 0.3)])
def test_nothing_usable_is_no_times(values):
    assert read_times(cloud_of("time", values), STAMP) is None


def test_a_cloud_without_a_time_field_has_no_times():
    assert read_times(cloud_of("intensity", np.zeros(4)), STAMP) is None
