# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags that were cut off: what lies before the cut is read, byte for byte, and the damage is told."""

import shutil

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from kpconv_ros.data.bags import POINTCLOUD2, BagError, BagMessage, BagReader, BagWriter
from kpconv_ros.data.cdr_messages import cloud_to_cdr
from kpconv_ros.data.pointcloud2 import pack_xyz

NUM_CLOUDS = 40
STAMPS = [5_000_000_000 + 100_000_000 * index for index in range(NUM_CLOUDS)]


def cloud(stamp_ns):
    """A message of 60 kB whose bytes do not repeat."""
    points = np.random.default_rng(stamp_ns).random((5000, 3), np.float32)
    return BagMessage(stamp_ns, "/points", POINTCLOUD2, cloud_to_cdr(pack_xyz(points), stamp_ns, "lidar", True))


CLOUDS = [cloud(stamp_ns) for stamp_ns in STAMPS]


def write_ros2(folder, storage):
    with BagWriter(folder, storage) as writer:
        for message in CLOUDS:
            writer.write(message)
    return folder, next(path for path in folder.iterdir() if path.suffix != ".yaml")


def write_compressed(folder):
    """An MCAP whose chunks are compressed by zstd."""
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/points", POINTCLOUD2, typestore=get_typestore(Stores.LATEST))
        for message in CLOUDS:
            writer.write(connection, message.stamp_ns, message.cdr)
    return folder, next(path for path in folder.iterdir() if path.suffix != ".yaml")


def write_ros1(path, compression=None):
    store, newer = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.LATEST)
    writer = Writer1(path)
    if compression is not None:
        writer.set_compression(compression)
    with writer:
        connection = writer.add_connection("/points", POINTCLOUD2, typestore=store)
        for number, message in enumerate(CLOUDS):
            decoded = newer.deserialize_cdr(message.cdr, POINTCLOUD2)
            stamp, frame = decoded.header.stamp, decoded.header.frame_id
            decoded.header = store.types["std_msgs/msg/Header"](number, stamp, frame)
            writer.write(connection, message.stamp_ns, store.serialize_ros1(decoded, POINTCLOUD2))
    return path, path


WRITERS = {
    "mcap": lambda folder: write_ros2(folder / "bag", "mcap"),
    "zstd": lambda folder: write_compressed(folder / "bag"),
    "sqlite3": lambda folder: write_ros2(folder / "bag", "sqlite3"),
    "ros1": lambda folder: write_ros1(folder / "a.bag"),
    "ros1_bz2": lambda folder: write_ros1(folder / "a.bag", Writer1.CompressionFormat.BZ2),
}


def read_until_damage(path):
    """The messages of a bag, and what was said of its damage."""
    messages, damage = [], ""
    try:
        with BagReader(path) as reader:
            for message in reader.messages():
                messages.append(message)
    except BagError as error:
        damage = str(error)
    return messages, damage


@pytest.fixture(scope="module", params=list(WRITERS))
def whole(request, tmp_path_factory):
    """A bag and its file."""
    return WRITERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture
def bag(whole, tmp_path):
    """A copy to be damaged."""
    source, file = whole
    if source.is_dir():
        shutil.copytree(source, tmp_path / "bag")
        return tmp_path / "bag", tmp_path / "bag" / file.name
    shutil.copy(source, tmp_path)
    return tmp_path / source.name, tmp_path / source.name


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_messages_before_the_cut_are_read_and_the_damage_is_told(bag, share):
    path, file = bag
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    messages, damage = read_until_damage(path)
    assert "damaged" in damage
    assert NUM_CLOUDS * share - 20 < len(messages) < NUM_CLOUDS  # less what lay in the chunk at the cut
    assert messages == CLOUDS[: len(messages)]


def test_a_folder_without_metadata_is_read_whole(bag):
    path, file = bag
    if path == file:
        pytest.skip("a ROS 1 bag has no metadata file")
    (path / "metadata.yaml").unlink()
    assert read_until_damage(path) == (CLOUDS, "")


def test_a_file_of_other_content_is_no_bag(bag):
    path, file = bag
    file.write_bytes(b"nothing of use " * 100)
    messages, damage = read_until_damage(path)
    assert not messages and "got no readable rosbag2 or ROS 1 bag" in damage


def test_a_bag_cut_in_its_head_has_nothing(bag):
    path, file = bag
    file.write_bytes(file.read_bytes()[:40])
    messages, damage = read_until_damage(path)
    assert not messages and "got no readable rosbag2 or ROS 1 bag" in damage
