# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a lidar recorded, whatever holds it: clouds, ground truth and odometry of a bag or of a KITTI-layout folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, BagError, BagReader, pick_topic
from kpconv_ros.data.kitti_to_bag import (
    GROUND_TRUTH_TOPIC,
    ODOMETRY_TOPIC,
    POINTS_TOPIC,
    scan_messages,
    scan_stamps,
)
from kpconv_ros.data.semantic_kitti import KittiSequence

POINTS = "points"
GROUND_TRUTH = "ground_truth"
ODOMETRY_KIND = "odometry"
_TRUTH_SUFFIX = "ground_truth"


class RecordedMessage(NamedTuple):
    """One message, serialised for ROS 2."""

    stamp_ns: int
    """When it was recorded, nanoseconds."""
    kind: str
    """``points``, ``ground_truth`` (PointCloud2 both) or ``odometry`` (nav_msgs/Odometry)."""
    cdr: bytes


class Recording(Protocol):
    """Messages in the order of time; can be read again and again, and from any thread."""

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of messages that the recording has."""

    @property
    def num_clouds(self) -> int:
        """How many clouds there are from the beginning to the end."""

    def messages(self, start: float = 0.0, duration: float | None = None) -> Iterator[RecordedMessage]:
        """Iterate over the messages from ``start`` seconds after the beginning, for ``duration`` seconds or to the end.

        Raises:
            BagError: If the bag is damaged.
            KittiError: If a scan is damaged.
        """


class BagRecording:
    """A bag as a recording; topics that are not named are found by their type."""

    def __init__(
        self, path: Path, points_topic: str = "", ground_truth_topic: str = "", odometry_topic: str = ""
    ) -> None:
        """Find the topics of a bag.

        Args:
            path: Bag, as `BagReader` takes it.
            points_topic: PointCloud2 to play; else the only one that is not ground truth.
            ground_truth_topic: Labelled PointCloud2; else the one whose name ends with ``ground_truth``, if any.
            odometry_topic: Odometry; else the only one, if any.

        Raises:
            BagError: If the bag cannot be read, holds no cloud, or holds several of a kind and none was named.
        """
        self.path = path
        with BagReader(path) as reader:
            points = pick_topic(reader, POINTCLOUD2, points_topic, without=_TRUTH_SUFFIX)
            truths = [name for name in reader.topics_of_type(POINTCLOUD2) if name.endswith(_TRUTH_SUFFIX)]
            if ground_truth_topic or truths:
                ground_truth = pick_topic(reader, POINTCLOUD2, ground_truth_topic or truths[0])
            else:
                ground_truth = None
            odometry = pick_topic(reader, ODOMETRY, odometry_topic)
            num_of_topic = reader.topics_of_type(POINTCLOUD2)
            damage = f"; the bag is damaged: {reader.damage}" if reader.damage else ""
        if points is None:
            raise BagError(f"{path}: got no topic of {POINTCLOUD2}, expected one with the lidar's clouds{damage}")
        found = {points: POINTS, ground_truth: GROUND_TRUTH, odometry: ODOMETRY_KIND}
        self._kind_of_topic = {topic: kind for topic, kind in found.items() if topic is not None}
        self.num_clouds = num_of_topic[points]

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of messages that the bag has."""
        return frozenset(self._kind_of_topic.values())

    def messages(self, start: float = 0.0, duration: float | None = None) -> Iterator[RecordedMessage]:
        """Iterate over the messages, see `Recording.messages`."""
        with BagReader(self.path) as reader:
            start_ns = reader.start_ns + round(start * 1e9)
            stop_ns = None if duration is None else start_ns + round(duration * 1e9)
            for message in reader.messages(list(self._kind_of_topic), start_ns, stop_ns):
                yield RecordedMessage(message.stamp_ns, self._kind_of_topic[message.topic], message.cdr)


class KittiRecording:
    """A KITTI-layout sequence as a recording."""

    def __init__(self, sequence: KittiSequence) -> None:
        self.sequence = sequence
        self.num_clouds = len(sequence)

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of messages that the sequence gives."""
        kinds = {POINTS}
        if self.sequence.has_labels:
            kinds.add(GROUND_TRUTH)
        if self.sequence.poses is not None:
            kinds.add(ODOMETRY_KIND)
        return frozenset(kinds)

    def messages(self, start: float = 0.0, duration: float | None = None) -> Iterator[RecordedMessage]:
        """Iterate over the messages, see `Recording.messages`."""
        kind_of_topic = {POINTS_TOPIC: POINTS, GROUND_TRUTH_TOPIC: GROUND_TRUTH, ODOMETRY_TOPIC: ODOMETRY_KIND}
        stamps = scan_stamps(self.sequence)
        start_ns = stamps[0] + round(start * 1e9)
        for index, stamp_ns in enumerate(stamps):
            if stamp_ns < start_ns or (duration is not None and stamp_ns >= start_ns + round(duration * 1e9)):
                continue
            for message in scan_messages(self.sequence, index):
                yield RecordedMessage(stamp_ns, kind_of_topic[message.topic], message.cdr)


def every_nth_cloud(messages: Iterator[RecordedMessage], stride: int) -> Iterator[RecordedMessage]:
    """Leave out all clouds but every ``stride``-th, beginning with the first; other messages stay."""
    num_clouds = 0
    for message in messages:
        if message.kind == POINTS:
            num_clouds += 1
            if (num_clouds - 1) % stride:
                continue
        yield message


def open_recording(
    path: str | Path, sequence: str = "", points_topic: str = "", ground_truth_topic: str = "", odometry_topic: str = ""
) -> Recording:
    """Open a bag, or a KITTI-layout folder: one with ``velodyne/`` in it, or the root of ``sequence``.

    Raises:
        BagError: If it is neither, or the bag lacks what is needed (see `BagRecording`).
        KittiError: If the folder is not as it should be.
    """
    path = Path(path)
    if sequence:
        return KittiRecording(KittiSequence(path, sequence))
    if (path / "velodyne").is_dir():
        return KittiRecording(KittiSequence(path))
    return BagRecording(path, points_topic, ground_truth_topic, odometry_topic)
