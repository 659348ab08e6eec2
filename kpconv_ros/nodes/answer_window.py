# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many clouds a consumer may owe an answer for; shared by the thread that publishes and the one that listens."""

import threading
import time

WAKE_PERIOD = 0.2  # [s] between two looks at whether waiting was called off


class AnswerWindow:
    """Stamps of published clouds that have not been answered, at most ``size`` of them.

    An answer to a cloud also settles those published before it: the consumer has dropped them.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.num_answered = 0
        self.num_unanswered = 0
        self._waiting: list[int] = []
        self._changed = threading.Condition()

    def add(self, stamp_ns: int) -> None:
        """Note a published cloud."""
        with self._changed:
            self._waiting.append(stamp_ns)

    def answer(self, stamp_ns: int) -> None:
        """Note an answer; one to no waiting cloud is ignored."""
        with self._changed:
            if stamp_ns not in self._waiting:
                return
            place = self._waiting.index(stamp_ns)
            del self._waiting[: place + 1]
            self.num_answered += 1
            self.num_unanswered += place
            self._changed.notify_all()

    def wait_for_room(self, timeout: float, stop: threading.Event, room: int = 1) -> bool:
        """Wait until ``room`` more clouds fit.

        Args:
            timeout: Patience, seconds; then all waiting clouds are given up.
            stop: Ends the wait early when set.
            room: ``size`` waits for all answers.

        Returns:
            Whether answers made the room; False after the timeout or ``stop``.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while len(self._waiting) > self.size - room:
                left = deadline - time.monotonic()
                if left <= 0 or stop.is_set():
                    self.num_unanswered += len(self._waiting)
                    self._waiting.clear()
                    return False
                self._changed.wait(min(left, WAKE_PERIOD))
        return True
