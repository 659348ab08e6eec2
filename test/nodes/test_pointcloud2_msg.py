# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numpy arrays to PointCloud2 and back."""

import numpy as np
import pytest

pytest.importorskip("sensor_msgs")
from std_msgs.msg import Header  # noqa: E402

from kpconv_ros.data.pointcloud2 import PackedCloud, append_fields, pack_xyz, read_points  # noqa: E402
from kpconv_ros.nodes.pointcloud2_msg import (  # noqa: E402
    cloud_message,
    message_bytes,
    pack_columns,
    packed_message,
    point_fields,
)

pytestmark = pytest.mark.ros


def test_columns_come_back_as_they_went():
    x = np.arange(6, dtype=np.float32)
    ring = np.arange(6, dtype=np.uint16)
    message = cloud_message(pack_columns(x=x, y=x + 1, z=x + 2, ring=ring), Header(frame_id="lidar"), height=2)
    cloud = read_points(message)
    assert (message.height, message.width, message.point_step, message.row_step) == (2, 3, 14, 42)
    assert message.header.frame_id == "lidar" and message.is_dense
    np.testing.assert_array_equal(cloud.xyz, np.stack([x, x + 1, x + 2], axis=1))
    np.testing.assert_array_equal(cloud.points["ring"], ring)


@pytest.mark.parametrize("order", ["<", ">"])
def test_padding_and_byte_order_are_kept(order):
    formats = [f"{order}f4", f"{order}f8", "u1", (f"{order}i2", 3)]
    dtype = np.dtype({"names": ["x", "t", "label", "n"], "formats": formats, "offsets": [4, 8, 0, 24], "itemsize": 40})
    points = np.zeros(3, dtype)
    points["t"] = [1, 2, 3]
    message = cloud_message(points, Header(), is_dense=True)
    assert message.is_bigendian == (order == ">")
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ("x", 4, 7, 1),
        ("t", 8, 8, 1),
        ("label", 0, 2, 1),
        ("n", 24, 3, 3),
    ]
    np.testing.assert_array_equal(np.frombuffer(message.data, dtype)["t"], [1, 2, 3])


def test_a_nan_makes_the_cloud_not_dense():
    x = np.array([1, np.nan], np.float32)
    assert not cloud_message(pack_columns(x=x, y=x, z=x), Header()).is_dense


def test_what_pointcloud2_cannot_say_is_refused():
    with pytest.raises(ValueError, match="int64"):
        point_fields(np.dtype([("id", np.int64)]))
    with pytest.raises(ValueError, match="height 2"):
        cloud_message(pack_columns(x=np.zeros(3, np.float32)), Header(), height=2)
    with pytest.raises(ValueError, match="lengths"):
        pack_columns(x=np.zeros(3), y=np.zeros(2))


def test_an_empty_cloud_is_a_message():
    empty = np.zeros(0, np.float32)
    message = cloud_message(pack_columns(x=empty, y=empty, z=empty), Header())
    assert (message.width, len(message.data)) == (0, 0)


def test_bytes_are_those_of_the_array():
    values = np.arange(10, dtype=np.int32)[::2]
    assert bytes(message_bytes(values)) == values.tobytes()


def test_a_labelled_cloud_keeps_fields_and_shape():
    points = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    packed = pack_xyz(points, intensity=np.arange(4, dtype=np.float32))
    source = read_points(packed)
    labelled = append_fields(source, np.arange(4, dtype=np.uint8), np.full(4, 0.5, np.float32))
    message = packed_message(labelled, Header(frame_id="lidar"), True)
    read = read_points(message)
    assert isinstance(labelled, PackedCloud)
    np.testing.assert_array_equal(read.points["label"], np.arange(4))
    np.testing.assert_array_equal(read.xyz, points)
    np.testing.assert_array_equal(read.intensity, np.arange(4))
