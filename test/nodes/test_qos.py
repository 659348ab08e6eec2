# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A subscription that follows the reliability of its publishers."""

import time

import pytest

rclpy = pytest.importorskip("rclpy")
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from std_msgs.msg import Float32  # noqa: E402

from kpconv_ros.nodes.qos import AdaptiveSubscription, latched_qos, stream_qos  # noqa: E402

pytestmark = pytest.mark.ros
PATIENCE = 20.0


@pytest.fixture
def spin(context):
    """A node and a function that spins it until something is true."""
    node = rclpy.create_node("adaptive", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin_until(is_true):
        deadline = time.monotonic() + PATIENCE
        while not is_true():
            assert time.monotonic() < deadline, "waited in vain"
            executor.spin_once(timeout_sec=0.05)

    yield node, spin_until
    executor.shutdown()
    node.destroy_node()


def test_auto_follows_the_publishers_there_and_back(spin):
    node, spin_until = spin
    subscription = AdaptiveSubscription(node, Float32, "numbers", lambda message: None)
    assert not subscription.reliable
    first = node.create_publisher(Float32, "numbers", stream_qos(reliable=True))
    spin_until(lambda: subscription.reliable)
    second = node.create_publisher(Float32, "numbers", stream_qos(reliable=False))
    spin_until(lambda: not subscription.reliable)
    node.destroy_publisher(second)
    spin_until(lambda: subscription.reliable)
    assert subscription.num_publishers() == 1
    node.destroy_publisher(first)
    subscription.destroy()


@pytest.mark.parametrize("reliable", [True, False])
def test_messages_arrive_from_publishers_of_either_kind(spin, reliable):
    node, spin_until = spin
    heard = []
    AdaptiveSubscription(node, Float32, "numbers", heard.append)
    publisher = node.create_publisher(Float32, "numbers", stream_qos(reliable=reliable))

    def publish_and_look():
        publisher.publish(Float32(data=1.0))
        return len(heard) > 3

    spin_until(publish_and_look)


def test_a_fixed_reliability_stays_and_counts_whom_it_cannot_hear(spin):
    node, spin_until = spin
    subscription = AdaptiveSubscription(node, Float32, "numbers", lambda message: None, reliability="reliable")
    node.create_publisher(Float32, "numbers", stream_qos(reliable=False))
    spin_until(lambda: subscription.num_publishers() == 1)
    assert subscription.reliable and subscription.num_unmatched() == 1


def test_what_is_latched_reaches_those_who_come_late(spin):
    node, spin_until = spin
    node.create_publisher(Float32, "latched", latched_qos()).publish(Float32(data=2.0))
    heard = []
    node.create_subscription(Float32, "latched", heard.append, latched_qos())
    spin_until(lambda: heard)
    assert heard[0].data == 2.0
