# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The latest item is worked on; older ones are dropped; the worker survives."""

import threading

import pytest

pytest.importorskip("rclpy")
from kpconv_ros.nodes.latest_slot import LatestSlot, Worker  # noqa: E402

WAIT = 10.0


def test_a_new_item_replaces_the_oldest_and_is_counted():
    slot = LatestSlot()
    for item in (1, 2, 3):
        slot.put(item)
    assert slot.take(0.0) == ([], 3)
    assert slot.num_dropped == 2
    assert slot.take(0.0) == ([], None)


def test_a_slot_for_several_gives_them_in_order_and_drops_the_oldest():
    slot = LatestSlot(capacity=3)
    for item in range(5):
        slot.put(item)
    assert slot.num_dropped == 2
    assert [slot.take(0.0)[1] for _ in range(4)] == [2, 3, 4, None]
    for item in range(2):
        slot.put(item)
    slot.clear()
    assert slot.num_dropped == 4


def test_what_is_cleared_counts_as_dropped():
    slot = LatestSlot()
    slot.clear()
    slot.put(1)
    slot.clear()
    assert (slot.num_dropped, slot.take(0.0)[1]) == (1, None)


def test_while_the_worker_is_busy_only_the_latest_waits():
    started, go_on, seen, done = threading.Event(), threading.Event(), [], threading.Event()

    def work(item):
        seen.append(item)
        started.set()
        go_on.wait(WAIT)
        if item == 4:
            done.set()

    worker = Worker(work, seen.append)
    worker.slot.put(1)
    assert started.wait(WAIT)
    for item in (2, 3, 4):
        worker.slot.put(item)
    go_on.set()
    assert done.wait(WAIT)
    worker.stop()
    assert seen == [1, 4] and worker.slot.num_dropped == 2


def test_an_error_is_reported_and_the_next_item_worked_on():
    errors, done = [], threading.Event()

    def work(item):
        if item == "bad":
            raise ValueError("bad item")
        done.set()

    failed = threading.Event()
    worker = Worker(work, lambda error: (errors.append(str(error)), failed.set()))
    worker.slot.put("bad")
    assert failed.wait(WAIT)
    worker.slot.put("good")
    assert done.wait(WAIT)
    worker.stop()
    assert errors == ["bad item"]


def test_calls_run_in_the_worker_and_give_results_and_errors():
    worker = Worker(lambda item: None, lambda error: None)
    assert worker.call(threading.current_thread).result(WAIT).name == "kpconv_worker"
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 / 0).result(WAIT)
    worker.stop()


def test_an_idle_worker_says_so():
    idle = threading.Event()
    worker = Worker(lambda item: None, lambda error: None, idle.set)
    assert idle.wait(WAIT)
    worker.stop()
