# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A place for the latest message, or the latest few, and the one thread that works on them.

ROS callbacks only `put`; the worker takes. When the worker is late, the oldest message is dropped, so what is worked on
is never older than what the slot holds plus the work in hand, and no queue can grow.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

ItemT = TypeVar("ItemT")

STOP_TIMEOUT = 20.0  # s; a scan in hand is finished first
IDLE_PERIOD = 0.25  # s without an item after which the worker is idle


class LatestSlot(Generic[ItemT]):
    """Holds a few items at most; a new one replaces the oldest, which counts as dropped."""

    def __init__(self, capacity: int = 1) -> None:
        """Make an empty slot for so many items."""
        self._changed = threading.Condition()
        self._items: deque[ItemT] = deque(maxlen=capacity)
        self._jobs: list[Callable[[], None]] = []
        self._closed = False
        self.num_dropped = 0

    def put(self, item: ItemT) -> None:
        """Leave an item; drop the oldest that still lies here if there is no room."""
        with self._changed:
            self.num_dropped += len(self._items) == self._items.maxlen
            self._items.append(item)
            self._changed.notify()

    def add_job(self, job: Callable[[], None]) -> None:
        """Leave something to be done before the next item; jobs are never dropped."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    def take(self, timeout: float) -> tuple[list[Callable[[], None]], ItemT | None]:
        """Wait for jobs or an item, at most ``timeout`` seconds, and take all jobs and the oldest item out."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._items or self._closed, timeout)
            jobs, item = self._jobs, self._items.popleft() if self._items else None
            self._jobs = []
            return jobs, item

    def clear(self) -> None:
        """Drop what lies here without working on it; it counts as dropped."""
        with self._changed:
            self.num_dropped += len(self._items)
            self._items.clear()

    def close(self) -> None:
        """Wake the taker for the last time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed


class Worker(Generic[ItemT]):
    """A thread that works on the items of its slot, and alone touches the state behind it (and the GPU)."""

    def __init__(
        self,
        work: Callable[[ItemT], None],
        on_error: Callable[[Exception], None],
        on_idle: Callable[[], None] | None = None,
        capacity: int = 1,
    ) -> None:
        """Start the thread.

        Args:
            work: Called with each item.
            on_error: Called with what ``work`` or ``on_idle`` raised; the thread goes on.
            on_idle: Called when no item came for a while.
            capacity: Items that may wait.
        """
        self.slot: LatestSlot[ItemT] = LatestSlot(capacity)
        self._work, self._on_error, self._on_idle = work, on_error, on_idle
        self._thread = threading.Thread(target=self._run, name="kpconv_worker", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """Have the thread call ``function`` between two items; the future gives its result or what it raised."""
        future: Future[Any] = Future()

        def job() -> None:
            try:
                future.set_result(function())
            except Exception as error:
                future.set_exception(error)

        self.slot.add_job(job)
        return future

    def stop(self) -> None:
        """Drop what waits, finish what is in hand, and end the thread."""
        self.slot.clear()
        self.slot.close()
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT)

    def _run(self) -> None:
        while not self.slot.closed:
            jobs, item = self.slot.take(IDLE_PERIOD)
            for job in jobs:
                job()
            try:
                if item is not None:
                    self._work(item)
                elif not jobs and self._on_idle is not None:
                    self._on_idle()
            except Exception as error:
                self._on_error(error)
