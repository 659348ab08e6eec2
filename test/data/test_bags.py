# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of both storages and of ROS 1, written and read without ROS."""

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import Stores, get_typestore

from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, BagError, BagMessage, BagReader, BagWriter, pick_topic
from kpconv_ros.data.cdr_messages import cloud_to_cdr, odometry_to_cdr, stamp_of_cdr
from kpconv_ros.data.pointcloud2 import pack_xyz, read_points

STAMPS = [5_000_000_000, 5_100_000_000, 5_200_000_000]
T_ODOM_LIDAR = np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])


def cloud_message(stamp_ns, topic="/points"):
    points = np.full((4, 3), stamp_ns * 1e-9, np.float32)
    return BagMessage(stamp_ns, topic, POINTCLOUD2, cloud_to_cdr(pack_xyz(points), stamp_ns, "lidar", is_dense=True))


def odometry_message(stamp_ns):
    return BagMessage(stamp_ns, "/odom", ODOMETRY, odometry_to_cdr(T_ODOM_LIDAR, stamp_ns, "odom", "lidar"))


@pytest.fixture(params=["mcap", "sqlite3"])
def bag(tmp_path, request):
    """A rosbag2 with three clouds and poses."""
    with BagWriter(tmp_path / "bag", request.param) as writer:
        for stamp_ns in STAMPS:
            writer.write(odometry_message(stamp_ns))
            writer.write(cloud_message(stamp_ns))
    return tmp_path / "bag"


@pytest.fixture
def ros1_bag(tmp_path):
    """The same as a ROS 1 bag."""
    store, newer = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.LATEST)
    with Writer1(tmp_path / "old.bag") as writer:
        connection = writer.add_connection("/points", POINTCLOUD2, typestore=store)
        for number, stamp_ns in enumerate(STAMPS):
            message = newer.deserialize_cdr(cloud_message(stamp_ns).cdr, POINTCLOUD2)
            header = store.types["std_msgs/msg/Header"](number, message.header.stamp, message.header.frame_id)
            message.header = header
            writer.write(connection, stamp_ns, store.serialize_ros1(message, POINTCLOUD2))
    return tmp_path / "old.bag"


def test_messages_come_back_in_the_order_of_time(bag):
    with BagReader(bag) as reader:
        messages = list(reader.messages())
        assert [message.stamp_ns for message in messages] == sorted(2 * STAMPS)
        assert reader.topics_of_type(POINTCLOUD2) == {"/points": 3}
        clouds = [read_points(reader.decode(m)) for m in messages if m.msgtype == POINTCLOUD2]
    assert [cloud.xyz[0, 0] for cloud in clouds] == pytest.approx([5.0, 5.1, 5.2])


def test_topics_and_times_can_be_chosen(bag):
    with BagReader(bag) as reader:
        chosen = list(reader.messages(["/odom"], start_ns=STAMPS[1], stop_ns=STAMPS[2]))
    assert [(message.topic, message.stamp_ns) for message in chosen] == [("/odom", STAMPS[1])]


def test_a_pose_and_its_stamp_come_back(bag):
    with BagReader(bag) as reader:
        message = next(reader.messages(["/odom"]))
        odometry = reader.decode(message)
    position, orientation = odometry.pose.pose.position, odometry.pose.pose.orientation
    assert (position.x, position.y, position.z) == (1.0, 2.0, 3.0)
    assert (orientation.z, orientation.w) == pytest.approx((np.sqrt(0.5), np.sqrt(0.5)))
    assert (odometry.header.frame_id, odometry.child_frame_id) == ("odom", "lidar")
    assert stamp_of_cdr(message.cdr) == STAMPS[0] == odometry.header.stamp.sec * 10**9 + odometry.header.stamp.nanosec


def test_a_ros_1_bag_gives_ros_2_messages(ros1_bag):
    with BagReader(ros1_bag) as reader:
        messages = list(reader.messages())
    store = get_typestore(Stores.LATEST)
    assert [stamp_of_cdr(message.cdr) for message in messages] == STAMPS
    assert messages[1].cdr == cloud_message(STAMPS[1]).cdr
    assert store.deserialize_cdr(messages[2].cdr, POINTCLOUD2).header.frame_id == "lidar"


def test_the_one_topic_of_a_type_is_found(bag):
    with BagReader(bag) as reader:
        assert pick_topic(reader, POINTCLOUD2) == "/points"
        assert pick_topic(reader, "sensor_msgs/msg/Imu") is None
        with pytest.raises(BagError, match="no sensor_msgs/msg/PointCloud2 topic '/odom'"):
            pick_topic(reader, POINTCLOUD2, "/odom")


def test_several_topics_of_a_type_have_to_be_named(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write(cloud_message(STAMPS[0], "/front"))
        writer.write(cloud_message(STAMPS[0], "/rear"))
    with BagReader(tmp_path / "bag") as reader:
        with pytest.raises(BagError, match="2 topics.*/front, /rear"):
            pick_topic(reader, POINTCLOUD2)
        assert pick_topic(reader, POINTCLOUD2, "/rear") == "/rear"


def test_an_unknown_topic_is_named_with_those_that_are_there(bag):
    with BagReader(bag) as reader, pytest.raises(BagError, match="no topic /lidar, expected of /odom, /points"):
        list(reader.messages(["/lidar"]))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_an_empty_bag_is_an_error(tmp_path, storage):
    with BagWriter(tmp_path / "bag", storage):
        pass
    with pytest.raises(BagError, match="empty|no readable"):
        BagReader(tmp_path / "bag")


@pytest.mark.parametrize("name", ["a.mcap", "a.db3", "a.bag", "a.txt", "folder/a.bin"])
def test_what_is_no_bag_is_an_error(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"SQLite format 3\0 or not " * 20)
    with pytest.raises(BagError, match="got no readable rosbag2"):
        BagReader(tmp_path / name if "/" not in name else tmp_path / "folder")
    with pytest.raises(BagError, match="no such bag"):
        BagReader(tmp_path / "absent")


def test_a_truncated_bag_is_an_error_and_not_the_end(bag):
    [file] = [path for path in bag.iterdir() if path.suffix != ".yaml"]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BagError), BagReader(bag) as reader:
        for message in reader.messages():
            reader.decode(message)


def test_a_message_with_damaged_bytes_is_an_error(bag):
    with BagReader(bag) as reader:
        message = next(reader.messages(["/points"]))
        with pytest.raises(BagError, match="/points is damaged"):
            reader.decode(message._replace(cdr=message.cdr[:40]))


def test_a_bag_is_not_overwritten(bag):
    with pytest.raises(BagError, match="exists"):
        BagWriter(bag)
    with pytest.raises(BagError, match="'rosbag', expected one of mcap, sqlite3"):
        BagWriter(bag.parent / "other", "rosbag")
