# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short recording played for as long as one likes: there and back from memory, with stamps that go on."""

from __future__ import annotations

from collections.abc import Iterator

from kpconv_ros.data.bags import BagError
from kpconv_ros.data.cdr_messages import restamp_cdr, stamp_of_cdr
from kpconv_ros.data.recordings import GROUND_TRUTH, POINTS, RecordedMessage, Recording
from kpconv_ros.data.semantic_kitti import KittiError

MAX_BYTES = 1 << 30
"""Of messages kept; of a longer recording the beginning is played."""


class ThereAndBack:
    """A recording without end, in which the sensor drives forwards and backwards by turns.

    Motion stays continuous and time never jumps, so that neither a map nor an odometry begins anew. Ground truth is
    left out. Times of the points inside a cloud stay as they are, so those of the way back do not fit its motion.
    """

    def __init__(self, recording: Recording) -> None:
        """Wrap a recording, which is read when messages are asked for."""
        self._recording = recording

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of messages that are played."""
        return self._recording.kinds - {GROUND_TRUTH}

    @property
    def num_clouds(self) -> int:
        """Clouds of one way."""
        return self._recording.num_clouds

    def messages(self, start: float = 0.0, duration: float | None = None) -> Iterator[RecordedMessage]:
        """Iterate without end over the messages between ``start`` and ``start + duration`` seconds.

        Raises:
            BagError: If there are less than two clouds, or as the recording does.
        """
        there = self._load(start, duration)
        first, last = there[0].stamp_ns, there[-1].stamp_ns
        back = sorted(there, key=lambda message: -message.stamp_ns)  # stable: the pose of a cloud stays before it
        begin, is_back, was_played = first, False, False
        while True:
            for message in back if is_back else there:
                after = last - message.stamp_ns if is_back else message.stamp_ns - first
                if after == 0 and was_played:
                    continue  # what lies at the turn was the last of the way before
                header_ns = stamp_of_cdr(message.cdr)
                header_after = last - header_ns if is_back else header_ns - first
                yield RecordedMessage(begin + after, message.kind, restamp_cdr(message.cdr, begin + header_after))
            begin, is_back, was_played = begin + last - first, not is_back, True

    def _load(self, start: float, duration: float | None) -> list[RecordedMessage]:
        messages: list[RecordedMessage] = []
        num_bytes = 0
        for message in _until_damage(self._recording.messages(start, duration)):
            if message.kind == GROUND_TRUTH:
                continue
            num_bytes += len(message.cdr)
            if num_bytes > MAX_BYTES:
                break
            messages.append(message)
        stamps = {message.stamp_ns for message in messages if message.kind == POINTS}
        if len(stamps) < 2:
            raise BagError(f"got {len(stamps)} clouds of different times to play there and back, expected two or more")
        return messages


def _until_damage(messages: Iterator[RecordedMessage]) -> Iterator[RecordedMessage]:
    """Messages up to where the recording cannot be read; what is before is enough to be played for ever."""
    try:
        yield from messages
    except (BagError, KittiError):
        return
