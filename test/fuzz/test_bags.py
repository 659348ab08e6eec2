# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags and messages with bytes changed, cut off or put in: told as damage, never a crash; a cut never invents."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis")
import contextlib

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from rosbags.rosbag1 import Writer as Writer1  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402

from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, BagError, BagMessage, BagReader, BagWriter  # noqa: E402
from kpconv_ros.data.cdr_messages import (  # noqa: E402
    cloud_to_cdr,
    message_of_cdr,
    odometry_to_cdr,
    restamp_cdr,
    stamp_of_cdr,
)
from kpconv_ros.data.damage import DamageError  # noqa: E402
from kpconv_ros.data.damaged_bags import read_mcap, read_ros1  # noqa: E402
from kpconv_ros.data.label_stream import LabelStreamReader  # noqa: E402
from kpconv_ros.data.pointcloud2 import PointCloud2Error, pack_xyz, read_points  # noqa: E402
from kpconv_ros.data.publication_log import read_publications  # noqa: E402
from kpconv_ros.data.recorded_scans import ScanError, ScanReader, ScanSelection  # noqa: E402
from kpconv_ros.data.recordings import open_recording  # noqa: E402

STAMPS = [1_000_000_000 * (index + 1) for index in range(6)]
KINDS = ("mcap", "sqlite3", "ros1")
SUFFIX = {"mcap": ".mcap", "sqlite3": ".db3", "ros1": ".bag"}
CLOUD = cloud_to_cdr(pack_xyz(np.zeros((5, 3), np.float32), label=np.ones(5, np.uint8)), STAMPS[0], "lidar", True)
POSE = odometry_to_cdr(np.eye(4), STAMPS[0], "odom", "lidar")


def original_messages():
    for index, stamp_ns in enumerate(STAMPS):
        points = np.random.default_rng(index).random((20, 3), np.float32)
        yield BagMessage(stamp_ns, "/odom", ODOMETRY, odometry_to_cdr(np.eye(4), stamp_ns, "odom", "lidar"))
        yield BagMessage(stamp_ns, "/points", POINTCLOUD2, cloud_to_cdr(pack_xyz(points), stamp_ns, "lidar", True))


@functools.cache
def original(kind):
    """The bytes of a good bag, and its messages as they are read back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"bag{SUFFIX[kind] if kind == 'ros1' else ''}"
        write_ros1(path) if kind == "ros1" else write_ros2(path, kind)
        file = path if kind == "ros1" else next(path.glob(f"*{SUFFIX[kind]}"))
        with BagReader(path) as reader:
            messages = list(reader.messages())
        return file.read_bytes(), messages


def write_ros2(path, storage):
    with BagWriter(path, storage) as writer:
        for message in original_messages():
            writer.write(message)


def write_ros1(path):
    old, new = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.LATEST)
    with Writer1(path) as writer:
        connections = {}
        for message in original_messages():
            if message.topic not in connections:
                connections[message.topic] = writer.add_connection(message.topic, message.msgtype, typestore=old)
            decoded = new.deserialize_cdr(message.cdr, message.msgtype)
            decoded.header = old.types["std_msgs/msg/Header"](0, decoded.header.stamp, decoded.header.frame_id)
            writer.write(connections[message.topic], message.stamp_ns, old.serialize_ros1(decoded, message.msgtype))


@st.composite
def changes(draw):
    """What is done to bytes: places as shares of the length, and what is put there."""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from(["flip", "cut", "insert", "zero"]), st.floats(0, 1), st.binary(min_size=1, max_size=8)
            ),
            min_size=1,
            max_size=4,
        )
    )


def changed(data, todo):
    for kind, share, given_bytes in todo:
        place = int(share * max(len(data) - 1, 0))
        if kind == "cut":
            data = data[:place]
        elif kind == "insert":
            data = data[:place] + given_bytes + data[place:]
        else:
            width = len(given_bytes)
            put = bytes(width) if kind == "zero" else given_bytes
            data = data[:place] + put + data[place + width :]
    return data


def read_all(path):
    """Messages up to an error of ours."""
    messages = []
    try:
        with BagReader(path) as reader:
            for message in reader.messages():
                messages.append(message)
    except BagError as error:
        assert str(path) in str(error)
        return messages, str(error)
    return messages, ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzzed")


@pytest.mark.parametrize("kind", KINDS)
@given(todo=changes())
def test_a_changed_bag_is_read_or_told(folder, kind, todo):
    path = folder / f"changed{SUFFIX[kind]}"
    path.write_bytes(changed(original(kind)[0], todo))
    messages, _ = read_all(path)
    for message in messages:
        try:
            decoded = message_of_cdr(message.cdr, message.msgtype)
        except BagError:
            continue
        if message.msgtype == POINTCLOUD2:
            try:
                cloud = read_points(decoded)
                assert len(cloud.xyz) == decoded.height * decoded.width
            except PointCloud2Error:
                pass


@pytest.mark.parametrize("kind", KINDS)
@given(share=st.floats(0, 1))
def test_of_a_bag_that_was_cut_the_beginning_is_read(folder, kind, share):
    data, messages = original(kind)
    path = folder / f"cut{SUFFIX[kind]}"
    path.write_bytes(data[: int(share * len(data))])
    got, damage = read_all(path)
    assert got == messages[: len(got)]
    assert len(got) == len(messages) or damage


@pytest.mark.parametrize("kind", KINDS)
@given(todo=changes())
def test_scans_of_a_changed_bag_are_read_or_told(folder, kind, todo):
    path = folder / f"scans{SUFFIX[kind]}"
    path.write_bytes(changed(original(kind)[0], todo))
    try:
        for scan in ScanReader(open_recording(path), ScanSelection()):
            assert scan.cloud.xyz.shape[1] == 3
            assert scan.pose is None or np.isfinite(scan.pose).all()
    except (BagError, ScanError):
        pass


@pytest.mark.parametrize("read", [read_mcap, read_ros1])
@given(data=st.binary(max_size=300))
def test_records_of_any_bytes_end_in_damage(folder, read, data):
    path = folder / "records"
    path.write_bytes(data)
    with path.open("rb") as file, contextlib.suppress(DamageError):
        assert all(len(found) == 3 for found in read(file))


@given(data=st.binary(max_size=200), msgtype=st.sampled_from([POINTCLOUD2, ODOMETRY]))
def test_any_bytes_as_a_message_are_damage_or_a_message(data, msgtype):
    with contextlib.suppress(BagError):
        message_of_cdr(data, msgtype)


@given(todo=changes(), cdr=st.sampled_from([CLOUD, POSE]))
def test_a_changed_message_is_damage_or_a_message(todo, cdr):
    data = changed(cdr, todo)
    try:
        decoded = message_of_cdr(data, POINTCLOUD2 if cdr is CLOUD else ODOMETRY)
    except BagError:
        return
    assert stamp_of_cdr(data) == decoded.header.stamp.sec * 10**9 + decoded.header.stamp.nanosec
    assert message_of_cdr(restamp_cdr(data, 7), POINTCLOUD2 if cdr is CLOUD else ODOMETRY).header.stamp.nanosec == 7


@given(data=st.binary(max_size=200))
def test_notes_of_any_bytes_are_read_or_told(folder, data):
    for name, read in (("a.labels", LabelStreamReader), ("a.log", read_publications)):
        (folder / name).write_bytes(data)
        with contextlib.suppress(BagError):
            assert len(read(folder / name)) <= len(data)
