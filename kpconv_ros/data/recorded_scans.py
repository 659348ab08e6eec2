# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scans of a recording with what is known of them: true labels from wherever they are, and the recorded pose."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, BagError
from kpconv_ros.data.cdr_messages import message_of_cdr
from kpconv_ros.data.pointcloud2 import CloudFields, PointCloud2Error, read_points
from kpconv_ros.data.pose_track import PoseTrack
from kpconv_ros.data.recordings import GROUND_TRUTH, ODOMETRY_KIND, POINTS, KittiRecording, RecordedMessage, Recording
from kpconv_ros.data.semantic_kitti import KittiError
from kpconv_ros.geometry.se3 import PoseError, pose_of

Array = NDArray[Any]
PATIENCE = 10
"""So many later clouds may come before the truth or the pose of a cloud."""
MAX_LABEL = 255
TRUTH_SOURCES = ("topic", "field", "files", "none")


class ScanError(ValueError):
    """A recording in which there is no scan to work on."""


@dataclass(frozen=True)
class ScanSelection:
    """Which scans of a recording."""

    start: float = 0.0
    """Seconds after the beginning of the recording."""
    duration: float | None = None
    """Seconds from there; None: to the end."""
    stride: int = 1
    """Every so many clouds is taken."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ScanError: Naming the one that is wrong.
        """
        if not self.start >= 0 or (self.duration is not None and not self.duration > 0) or self.stride < 1:
            raise ScanError(
                f"got start {self.start} s, duration {self.duration} s, stride {self.stride}; expected a start from 0, "
                "a duration above 0 and a stride from 1"
            )


class RecordedScan(NamedTuple):
    """One scan."""

    stamp_ns: int
    """Stamp of the cloud's header, nanoseconds."""
    frame_id: str
    """Its frame."""
    cloud: CloudFields
    """All its points."""
    labels: Array | None
    """True labels, ``(N,)`` uint8, 0 is unknown; None if there are none."""
    pose: Array | None
    """Recorded pose ``T_odom_child`` at the stamp, ``(4, 4)``; None if there is none."""
    pose_frame: str
    """Child frame of that pose."""


class _Waiting(NamedTuple):
    stamp_ns: int
    frame_id: str
    cloud: CloudFields


class ScanReader:
    """Iterates over the scans of a recording; what was wrong with it is in :attr:`problems` afterwards.

    Attributes:
        problems: A line for each kind of thing that kept scans from being read.
        truth_source: Where true labels came from, one of :data:`TRUTH_SOURCES`.
    """

    def __init__(self, recording: Recording, selection: ScanSelection) -> None:
        """Read from a recording, which is not touched before iteration."""
        self.recording, self.selection = recording, selection
        self.problems: list[str] = []
        self.truth_source = "none"
        if GROUND_TRUTH in recording.kinds:
            self.truth_source = "files" if isinstance(recording, KittiRecording) else "topic"
        self._has_poses = ODOMETRY_KIND in recording.kinds
        self._forget()

    def __iter__(self) -> Iterator[RecordedScan]:
        """Yield the scans in the order of their recording.

        A cloud that cannot be read is left out. A recording that ends in damage gives the scans before it.

        Raises:
            ScanError: If there is no scan at all; the text says why.
        """
        self._forget()
        num_scans = 0
        for scan in self._scans():
            num_scans += 1
            yield scan
        self._count_problems()
        if not num_scans:
            asked = f"from {self.selection.start:g} s on, every {self.selection.stride}"
            raise ScanError(f"got no readable cloud ({asked}), expected some. {' '.join(self.problems)}".strip())

    def _forget(self) -> None:
        self.problems = []
        self._clouds: deque[_Waiting] = deque()
        self._truths: OrderedDict[int, Array] = OrderedDict()
        self._track, self._pose_frame = PoseTrack(), ""
        self._frame, self._num_clouds = "", 0
        self._refused: dict[str, list[str]] = {}
        self._other_frames: dict[str, int] = {}

    def _scans(self) -> Iterator[RecordedScan]:
        take = {POINTS: self._take_cloud, GROUND_TRUTH: self._take_truth, ODOMETRY_KIND: self._take_pose}
        messages = self.recording.messages(self.selection.start, self.selection.duration)
        while True:
            try:
                message = next(messages)
            except StopIteration:
                break
            except (BagError, KittiError) as error:
                self.problems.append(f"the recording is damaged; only the scans before that were read: {error}")
                break
            try:
                take[message.kind](message)
            except (PointCloud2Error, PoseError, ScanError, BagError) as error:
                self._refused.setdefault(message.kind, []).append(str(error))
            while self._clouds and self._is_complete(self._clouds[0]):
                yield self._finish(self._clouds.popleft())
        while self._clouds:
            yield self._finish(self._clouds.popleft())

    def _take_cloud(self, message: RecordedMessage) -> None:
        self._num_clouds += 1
        if (self._num_clouds - 1) % self.selection.stride:
            return
        decoded = message_of_cdr(message.cdr, POINTCLOUD2)
        frame = str(decoded.header.frame_id)
        self._frame = self._frame or frame
        if frame != self._frame:  # a second lidar on the same topic
            self._other_frames[frame] = self._other_frames.get(frame, 0) + 1
            return
        self._clouds.append(_Waiting(stamp_of(decoded), frame, read_points(decoded)))

    def _take_truth(self, message: RecordedMessage) -> None:
        decoded = message_of_cdr(message.cdr, POINTCLOUD2)
        labels = labels_of(read_points(decoded))
        if labels is None:
            raise ScanError(f"got fields {[field.name for field in decoded.fields]}, expected 'label' among them")
        self._truths[stamp_of(decoded)] = labels
        while len(self._truths) > 4 * PATIENCE:
            self._truths.popitem(last=False)

    def _take_pose(self, message: RecordedMessage) -> None:
        decoded = message_of_cdr(message.cdr, ODOMETRY)
        p, q = decoded.pose.pose.position, decoded.pose.pose.orientation
        self._track.add(stamp_of(decoded), pose_of(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w])))
        self._pose_frame = str(decoded.child_frame_id)

    def _is_complete(self, cloud: _Waiting) -> bool:
        has_truth = self.truth_source not in ("topic", "files") or cloud.stamp_ns in self._truths
        has_pose = not self._has_poses or self._track.covers(cloud.stamp_ns)
        return (has_truth and has_pose) or len(self._clouds) > PATIENCE

    def _finish(self, cloud: _Waiting) -> RecordedScan:
        labels = self._truths.pop(cloud.stamp_ns, None)
        if labels is None and self.truth_source in ("none", "field"):
            labels = labels_of(cloud.cloud)
            if labels is not None:
                self.truth_source = "field"
        if labels is not None and len(labels) != len(cloud.cloud.xyz):
            text = f"got {len(labels)} true labels of a cloud of {len(cloud.cloud.xyz)} points, expected one a point"
            self._refused.setdefault(GROUND_TRUTH, []).append(text)
            labels = None
        pose = self._track.pose_at(cloud.stamp_ns)
        return RecordedScan(cloud.stamp_ns, cloud.frame_id, cloud.cloud, labels, pose, self._pose_frame)

    def _count_problems(self) -> None:
        for kind, reasons in self._refused.items():
            self.problems.append(f"{len(reasons)} messages of {kind} were left out: {reasons[0]}")
        for frame, number in self._other_frames.items():
            self.problems.append(
                f"got clouds of two lidars on one topic: {number} in frame '{frame}' were left out, expected all in "
                f"'{self._frame}'"
            )


def labels_of(cloud: CloudFields) -> Array | None:
    """True labels of a cloud's own field ``label``, ``(N,)`` uint8; None if it has none.

    Raises:
        ScanError: If a label is no whole number from 0 to 255.
    """
    if "label" not in (cloud.points.dtype.names or ()):
        return None
    values = cloud.points["label"]
    if values.ndim != 1:
        raise ScanError(f"field 'label': got {values.shape[1]} numbers a point, expected one")
    if len(values) and not (values.min() >= 0 and values.max() <= MAX_LABEL and (values == np.floor(values)).all()):
        raise ScanError(f"field 'label': got {values.min()} .. {values.max()}, expected whole numbers 0 .. {MAX_LABEL}")
    return values.astype(np.uint8)


def stamp_of(message: Any) -> int:
    """The stamp of a decoded message, nanoseconds."""
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)
