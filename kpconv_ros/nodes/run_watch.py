# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When a run that a node records begins to count, and when it is over."""

import time
from pathlib import Path

from rclpy.node import Node


class RunWatch:
    """Watches the publisher of the truth; tells others by the files ``.ready`` and ``.started`` beside the record.

    The run is over when that publisher has gone, or when the file ``.finish`` says so, for DDS notices a crashed one
    late.
    """

    def __init__(self, node: Node, output: Path, truth_topic: str, warm_up: float, finish_delay: float) -> None:
        """Watch for a node.

        Args:
            node: The node that records.
            output: File that it will write.
            truth_topic: Topic whose first message begins the run.
            warm_up: What comes so long after it does not count, seconds.
            finish_delay: How long answers may come after the publisher has gone, seconds.
        """
        self._node, self._output, self._truth_topic = node, output, truth_topic
        self._warm_up, self._finish_delay = warm_up, finish_delay
        self._first_truth: float | None = None
        self._gone_since: float | None = None
        self._is_started = False
        self.is_ready = False

    def become_ready(self) -> None:
        """Tell that the run may begin."""
        self.is_ready = True
        self._output.with_suffix(".ready").touch()

    def counts_truth(self) -> bool:
        """Return whether the truth that came now counts: the warm-up is over."""
        if not self._is_started:
            now = time.monotonic()
            self._first_truth = now if self._first_truth is None else self._first_truth
            if now - self._first_truth < self._warm_up:
                return False
            self._is_started = True
            self._output.with_suffix(".started").touch()
        return True

    def is_over(self) -> bool:
        """Return whether truth came and its publisher has been gone for the delay."""
        is_told = self._output.with_suffix(".finish").exists()
        if not self._is_started or (self._node.count_publishers(self._truth_topic) and not is_told):
            self._gone_since = None
            return False
        self._gone_since = time.monotonic() if self._gone_since is None else self._gone_since
        return time.monotonic() - self._gone_since >= self._finish_delay
