# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The window of clouds that await an answer; needs no ROS."""

import threading

from kpconv_ros.nodes.answer_window import AnswerWindow

NOT_STOPPED = threading.Event()


def test_there_is_room_until_the_window_is_full():
    window = AnswerWindow(2)
    window.add(1)
    assert window.wait_for_room(0.0, NOT_STOPPED)
    window.add(2)
    assert not window.wait_for_room(0.01, NOT_STOPPED)
    assert window.num_unanswered == 2


def test_an_answer_makes_room():
    window = AnswerWindow(1)
    window.add(5)
    threading.Timer(0.05, window.answer, [5]).start()
    assert window.wait_for_room(5.0, NOT_STOPPED)
    assert (window.num_answered, window.num_unanswered) == (1, 0)


def test_an_answer_settles_those_before_it_as_dropped():
    window = AnswerWindow(3)
    for stamp in (1, 2, 3):
        window.add(stamp)
    window.answer(2)
    assert (window.num_answered, window.num_unanswered) == (1, 1)
    assert window.wait_for_room(0.0, NOT_STOPPED)


def test_an_answer_to_another_cloud_makes_no_room():
    window = AnswerWindow(1)
    window.add(7)
    window.answer(6)
    window.answer(8)
    assert not window.wait_for_room(0.01, NOT_STOPPED)


def test_stopping_ends_the_wait():
    window, stop = AnswerWindow(1), threading.Event()
    window.add(1)
    stop.set()
    assert not window.wait_for_room(60.0, stop)
