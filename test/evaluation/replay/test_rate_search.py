# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The search for the highest rate, with nodes that are a formula."""

import pytest

from kpconv_ros.evaluation.replay.rate_search import NARROW, RateTrial, find_highest_rate


class Formula:
    """Drops a share of the scans that grows from a rate on; notes what was asked."""

    def __init__(self, limit, source_limit=1e9, lone_drops_below=0.0):
        self.limit, self.source_limit, self.lone = limit, source_limit, lone_drops_below
        self.asked = []

    def __call__(self, rate):
        self.asked.append(rate)
        dropped = round(1000 * max(0.0, 1.0 - self.limit / rate)) + (1 if self.lone and rate > self.lone else 0)
        return RateTrial(rate, min(rate, self.source_limit), 1000, {"segmentation": dropped, "registration": 0})


@pytest.mark.parametrize("limit", [0.9, 3.0, 10.0, 14.9, 37.0])
def test_it_finds_the_highest_rate_within_its_step(limit):
    nodes = Formula(limit)
    found = find_highest_rate(nodes, 10.0, 100.0)
    highest = limit / 0.95  # there, 5 % are dropped
    assert highest / NARROW**2 <= found.held < highest
    assert found.verified.rate == pytest.approx(0.8 * found.held) and found.verified.share == 0.0
    assert len(nodes.asked) < 16


def test_no_higher_rate_than_allowed_is_tried():
    nodes = Formula(1000.0)
    assert find_highest_rate(nodes, 10.0, 50.0).held == 50.0
    assert max(nodes.asked) == 50.0


def test_nothing_is_held_by_nodes_that_never_answer():
    nodes = Formula(1e-9)
    assert find_highest_rate(nodes, 10.0, 100.0) == (None, None)
    assert len(nodes.asked) == 5


def test_a_source_that_cannot_send_faster_ends_the_search():
    found = find_highest_rate(Formula(1000.0, source_limit=33.0), 10.0, 400.0)
    assert 30.0 < found.held <= 33.0 * NARROW


def test_a_rate_whose_confirmation_drops_is_given_up_for_a_lower_one():
    found = find_highest_rate(Formula(20.0, lone_drops_below=12.0), 10.0, 100.0)
    assert found.verified.rate <= 12.0 and found.held == pytest.approx(found.verified.rate / 0.8)


def test_a_rate_that_can_never_be_confirmed_does_not_hold():
    assert find_highest_rate(Formula(20.0, lone_drops_below=0.1), 10.0, 100.0) == (None, None)
