# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The PointCloud2 reader against layouts that drivers publish and against damage."""

import struct
from types import SimpleNamespace

import numpy as np
import pytest

from kpconv_ros.data.pointcloud2 import (
    DATATYPES,
    Field,
    PackedCloud,
    PointCloud2Error,
    append_fields,
    field_dtype,
    keep_points,
    pack_points,
    pack_rgb,
    pack_xyz,
    read_points,
    replace_xyz,
    take_points,
)

XYZI = [Field("x", 0, 7), Field("y", 4, 7), Field("z", 8, 7), Field("intensity", 12, 7)]
STRUCT_CODES = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 8: "d"}


def message(rows, fields=XYZI, step=16, height=1, row_padding=0, big=False):
    """Build a message point by point with the struct module; ``rows`` hold a number for each field."""
    width = len(rows) // height
    data = bytearray()
    for index, row in enumerate(rows):
        point = bytearray(b"\xab" * step)
        for field, value in zip(fields, row, strict=True):
            struct.pack_into((">" if big else "<") + STRUCT_CODES[field.datatype], point, field.offset, value)
        data += point + b"\xcd" * (row_padding if index % width == width - 1 else 0)
    return SimpleNamespace(
        height=height,
        width=width,
        fields=fields,
        is_bigendian=big,
        point_step=step,
        row_step=width * step + row_padding,
        data=bytes(data),
    )


def make_rows(num_points, num_fields=4):
    return [[float(10 * point + column) for column in range(num_fields)] for point in range(num_points)]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("height", "row_padding"), [(1, 0), (1, 5), (2, 0), (2, 7), (3, 16)])
@pytest.mark.parametrize("step", [16, 17, 26, 48])
def test_any_step_padding_and_byte_order_is_read(step, height, row_padding, big):
    rows = make_rows(6)
    cloud = read_points(message(rows, step=step, height=height, row_padding=row_padding, big=big))
    assert cloud.xyz.dtype == cloud.intensity.dtype == np.float32
    np.testing.assert_array_equal(cloud.xyz, np.array(rows)[:, :3])
    np.testing.assert_array_equal(cloud.intensity, np.array(rows)[:, 3])
    assert cloud.height == height


@pytest.mark.parametrize("name", ["intensity", "Intensity", "reflectivity", "remission", "i"])
@pytest.mark.parametrize("datatype", list(DATATYPES))
def test_the_intensity_is_found_under_any_name_and_type(name, datatype):
    fields = [*XYZI[:3], Field(name, 13, datatype)]
    cloud = read_points(message([[1.0, 2.0, 3.0, 100]], fields, step=21))
    assert cloud.intensity.tolist() == [100.0]


@pytest.mark.parametrize("name", ["t", "time", "timestamp"])
@pytest.mark.parametrize("datatype", list(DATATYPES))
def test_a_time_of_any_type_is_kept(name, datatype):
    cloud = read_points(message([[1.0, 2.0, 3.0, 100]], [*XYZI[:3], Field(name, 12, datatype)], step=20))
    assert cloud.points[name].tolist() == [100]
    assert cloud.intensity is None


@pytest.mark.parametrize("datatype", [1, 3, 5, 8])
def test_coordinates_may_be_of_another_type(datatype):
    fields = [Field(axis, 8 * index, datatype) for index, axis in enumerate("zyx")]
    cloud = read_points(message([[1, 2, 3]], fields, step=24))
    assert cloud.xyz.tolist() == [[3.0, 2.0, 1.0]]


def test_data_may_be_bytes_an_array_or_numpy():
    from array import array

    msg = message(make_rows(3))
    for data in (array("B", msg.data), bytearray(msg.data), np.frombuffer(msg.data, np.uint8)):
        msg.data = data
        assert read_points(msg).xyz.shape == (3, 3)


def test_nan_stays_nan():
    cloud = read_points(message([[float("nan"), 0, 0, 0], [1, 2, 3, 4]]))
    assert np.isnan(cloud.xyz[0, 0]) and np.isfinite(cloud.xyz[1]).all()


def test_no_points_are_read_as_no_points():
    assert read_points(message([])).xyz.shape == (0, 3)
    bare = SimpleNamespace(height=0, width=0, fields=[], is_bigendian=False, point_step=0, row_step=0, data=b"")
    cloud = read_points(bare)
    assert cloud.xyz.shape == (0, 3)
    assert append_fields(cloud, np.zeros(0, np.uint8), np.zeros(0, np.float32)).data.size == 0


def test_a_row_step_of_zero_and_a_count_of_zero_are_forgiven():
    msg = message(make_rows(3), [field._replace(count=0) for field in XYZI])
    msg.row_step = 0
    assert read_points(msg).xyz[2].tolist() == [20.0, 21.0, 22.0]


def test_a_field_of_several_numbers_is_kept_as_such():
    msg = message([[1, 2, 3, 4]], step=20)
    msg.fields = [*XYZI[:3], Field("normal", 12, 7, 2)]
    assert read_points(msg).points["normal"].shape == (1, 2)


def test_padding_fields_may_share_their_name():
    fields = [*XYZI[:3], Field("_", 12, 2), Field("_", 13, 2)]
    assert read_points(message([[1, 2, 3, 0, 0]], fields)).points.dtype.names == ("x", "y", "z")


def changed(**values):
    msg = message(make_rows(4))
    for name, value in values.items():
        setattr(msg, name, value)
    return msg


@pytest.mark.parametrize(
    ("msg", "text"),
    [
        (changed(data=message(make_rows(4)).data[:-1]), "got 63 bytes of data, expected 64"),
        (changed(data=b""), "got 0 bytes"),
        (changed(width=2**32 - 1, height=2**32 - 1), "got 64 bytes"),
        (changed(width=2**31, row_step=0), "got 64 bytes"),
        (changed(width=0), "got 64 bytes of data, expected 0"),
        (changed(point_step=32), "point_step 32"),
        (changed(point_step=15), "'intensity'.*byte 16, expected point_step 15"),
        (changed(point_step=0), "point_step 0"),
        (changed(height=2, width=2, row_step=10**6), "got 64 bytes.*row_step 1000000"),
        (changed(fields=XYZI[:2]), "'z'.*missing"),
        (changed(fields=[]), "missing"),
        (changed(fields=[*XYZI[1:], Field("x", 0, 7, 4)]), r"x\[4\].*'x'.*missing"),
        (changed(fields=[*XYZI, Field("x", 0, 7)]), "every name once"),
        (changed(fields=[*XYZI, Field("ring", 4_000_000_000, 4)]), "'ring'.*byte 4000000002"),
        (changed(fields=[*XYZI, Field("ring", 0, 4, 2**32 - 1)]), "'ring'"),
        (changed(fields=[*XYZI, Field("ring", 0, 9)]), "'ring': got datatype 9, expected 1 to 8"),
    ],
)
def test_a_contradiction_is_named_with_got_and_expected(msg, text):
    with pytest.raises(PointCloud2Error, match=text):
        read_points(msg)


@pytest.mark.parametrize("big", [False, True])
def test_appending_keeps_every_field_and_the_organisation(big):
    fields = [*XYZI[:3], Field("ring", 13, 4), Field("timestamp", 18, 8)]
    rows = [[1.0, 2.0, 3.0, ring, 1.7e9 + ring] for ring in range(6)]
    cloud = read_points(message(rows, fields, step=26, height=2, row_padding=3, big=big))
    labels, confidence = np.arange(6, dtype=np.uint8), np.linspace(0, 1, 6, dtype=np.float32)
    packed = append_fields(cloud, labels, confidence)
    again = read_points(packed)
    assert (packed.height, packed.width, packed.is_bigendian) == (2, 3, big)
    assert again.points.dtype.names == ("x", "y", "z", "ring", "timestamp", "label", "confidence")
    for name in cloud.points.dtype.names:
        np.testing.assert_array_equal(again.points[name], cloud.points[name])
    np.testing.assert_array_equal(again.points["label"], labels)
    np.testing.assert_array_equal(again.points["confidence"], confidence)


def test_appending_to_a_labelled_cloud_replaces_its_label():
    cloud = read_points(pack_xyz(np.ones((2, 3), np.float32), label=np.array([7, 8], np.uint16)))
    again = read_points(append_fields(cloud, np.array([1, 2], np.uint8), np.ones(2, np.float32)))
    assert again.points.dtype.names == ("x", "y", "z", "label", "confidence")
    assert again.points["label"].tolist() == [1, 2]


def test_appending_another_number_of_labels_is_an_error():
    cloud = read_points(message(make_rows(3)))
    with pytest.raises(PointCloud2Error, match=r"labels \(2,\).*expected \(3,\)"):
        append_fields(cloud, np.zeros(2, np.uint8), np.zeros(3, np.float32))


def test_packed_columns_come_back():
    packed = pack_points({"x": np.arange(3.0), "y": np.ones(3), "z": np.ones(3), "ring": np.arange(3, dtype=np.uint16)})
    assert packed.point_step == 26 and field_dtype(packed)["ring"] == np.uint16
    assert read_points(packed).points["ring"].tolist() == [0, 1, 2]
    with pytest.raises(PointCloud2Error, match="one length"):
        pack_points({"x": np.ones(2), "y": np.ones(3)})
    with pytest.raises(PointCloud2Error, match="'x': got int64"):
        pack_points({"x": np.ones(2, np.int64)})


def test_rgb_has_the_bits_that_viewers_expect():
    packed = pack_rgb(np.array([[1, 2, 3], [255, 0, 128]], np.uint8))
    assert packed.dtype == np.float32
    assert packed.view(np.uint32).tolist() == [0x010203, 0xFF0080]


def test_kept_points_are_unorganised_and_keep_their_fields():
    cloud = read_points(message(make_rows(6), height=2))
    packed = append_fields(cloud, np.arange(6, dtype=np.uint8), np.ones(6, np.float32))
    kept = keep_points(packed, np.array([True, False, False, False, True, False]))
    assert isinstance(kept, PackedCloud) and (kept.height, kept.width) == (1, 2)
    assert read_points(kept).points["label"].tolist() == [0, 4]
    with pytest.raises(PointCloud2Error, match=r"mask \(5,\)"):
        keep_points(packed, np.ones(5, bool))


@pytest.mark.data
def test_a_live_message_with_an_unaligned_step_is_read(data_dir):
    from rosbags.typesys import Stores, get_typestore

    path = data_dir / "pointcloud2" / "dds_message.bin"
    msg = get_typestore(Stores.LATEST).deserialize_cdr(path.read_bytes(), "sensor_msgs/msg/PointCloud2")
    cloud = read_points(msg)
    assert cloud.xyz.shape == (64000, 3) and cloud.points.dtype.itemsize == 26
    assert cloud.points.dtype.names == ("x", "y", "z", "intensity", "ring", "timestamp")
    assert np.ptp(cloud.points["timestamp"]) < 0.2
    x, y, z, intensity, ring, timestamp = struct.unpack_from("<ffffHd", bytes(msg.data), 26 * 1234)
    assert cloud.xyz[1234].tolist() == [x, y, z] and cloud.intensity[1234] == intensity
    assert cloud.points[1234]["ring"] == ring and cloud.points[1234]["timestamp"] == timestamp


def test_taken_points_keep_all_fields_in_the_order_of_the_rows():
    points = np.arange(15, dtype=np.float32).reshape(5, 3)
    cloud = read_points(pack_xyz(points, ring=np.arange(5, dtype=np.uint16)))
    taken = read_points(take_points(cloud, np.array([4, 0, 2])))
    np.testing.assert_array_equal(taken.xyz, points[[4, 0, 2]])
    np.testing.assert_array_equal(taken.points["ring"], [4, 0, 2])
    assert (taken.height, taken.width) == (1, 3)
    assert len(read_points(take_points(cloud, np.zeros(0, np.int64))).xyz) == 0


def test_moved_points_keep_their_shape_and_all_but_the_fields_left_out():
    packed = pack_xyz(np.zeros((6, 3), np.float32), ring=np.arange(6, dtype=np.uint16), time=np.ones(6))
    cloud = read_points(packed._replace(height=2, width=3))
    xyz = np.arange(18.0).reshape(6, 3)
    moved = read_points(replace_xyz(cloud, xyz, without=("time",)))
    np.testing.assert_array_equal(moved.xyz, xyz)
    np.testing.assert_array_equal(moved.points["ring"], np.arange(6))
    assert (moved.height, moved.width) == (2, 3) and "time" not in moved.points.dtype.names
    np.testing.assert_array_equal(cloud.xyz, 0.0)  # the input stays
    with pytest.raises(PointCloud2Error, match="expected \\(6, 3\\)"):
        replace_xyz(cloud, xyz[:5])
