# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Qualities of service, and a subscription that follows the reliability of its publishers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

CHECK_PERIOD = 0.5  # s between two looks at the publishers

# A few clouds may wait in the middleware while the executor is busy; the node's own slot then keeps the latest only.
INPUT_DEPTH = 5


def stream_qos(reliable: bool = True, depth: int = INPUT_DEPTH) -> QoSProfile:
    """For data that flows: volatile, the last ``depth`` messages."""
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=DurabilityPolicy.VOLATILE
    )


def latched_qos() -> QoSProfile:
    """For what a late joiner is to get at once (maps, label names): reliable, transient local, depth 1."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def has_listener(publisher: Any) -> bool:
    """Whether anybody has subscribed to what a publisher publishes."""
    return int(publisher.get_subscription_count()) > 0


class Input(Protocol):
    """Where messages come from."""

    @property
    def reliable(self) -> bool:
        """Whether nothing is lost on the way."""

    @property
    def topic_name(self) -> str:
        """Full name of the topic."""

    def num_publishers(self) -> int:
        """How many publishers it has."""

    def num_unmatched(self) -> int:
        """How many of them cannot be heard."""

    def destroy(self) -> None:
        """Hear no more."""


class AdaptiveSubscription:
    """A subscription that hears every publisher and, when it can, loses nothing.

    With ``reliability`` "auto" it subscribes best effort, which matches any publisher; when all publishers are reliable
    it subscribes again as reliable (big clouds get lost otherwise), and goes back when one is not. ROS 2's own
    BEST_AVAILABLE decides once, before the publishers are known. With ``latched`` it also hears what such publishers
    keep for those who come late, if all do.
    """

    def __init__(
        self,
        node: Node,
        message_type: Any,
        topic: str,
        callback: Callable[..., None],
        reliability: str = "auto",
        depth: int = INPUT_DEPTH,
        latched: bool = False,
    ) -> None:
        """Subscribe; ``reliability`` is "auto", "reliable" or "best_effort"."""
        self._node, self._message_type, self._topic, self._callback = node, message_type, topic, callback
        self._depth, self._latched, self._is_kept = depth, latched, False
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on when simulated time stands still
        self.reliable = reliability == "reliable"
        self._subscription = self._subscribe()
        self._timer = node.create_timer(CHECK_PERIOD, self._follow_publishers, clock=self._steady)
        if reliability != "auto":
            self._timer.cancel()

    @property
    def topic_name(self) -> str:
        """The full name of the topic after remapping."""
        return str(self._subscription.topic_name)

    def num_publishers(self) -> int:
        """How many publishers the topic has."""
        return len(self._node.get_publishers_info_by_topic(self.topic_name))

    def num_unmatched(self) -> int:
        """How many publishers cannot be heard because they are best effort while this subscription is reliable."""
        return sum(self.reliable and not reliable for reliable in self._publisher_reliabilities())

    def destroy(self) -> None:
        """Unsubscribe."""
        self._timer.cancel()
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)

    def _subscribe(self) -> Any:
        qos = latched_qos() if self._is_kept else stream_qos(self.reliable, self._depth)
        return self._node.create_subscription(self._message_type, self._topic, self._callback, qos)

    def _follow_publishers(self) -> None:
        reliabilities = self._publisher_reliabilities()
        is_kept = all(reliabilities) and self._keep_for_late()
        if not reliabilities or (all(reliabilities), is_kept) == (self.reliable, self._is_kept):
            return
        self._node.destroy_subscription(self._subscription)
        self.reliable, self._is_kept = all(reliabilities), is_kept
        self._subscription = self._subscribe()
        kind = "reliable" if self.reliable else "best effort"
        self._node.get_logger().info(f"{self.topic_name}: subscribed again as {kind}, as its publishers are")

    def _keep_for_late(self) -> bool:
        """Whether what all publishers keep for those who come late is wanted."""
        infos = (
            self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(self._topic)) if self._latched else []
        )
        kept = [info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for info in infos]
        return bool(kept) and all(kept)

    def _publisher_reliabilities(self) -> list[bool]:
        infos = self._node.get_publishers_info_by_topic(self.topic_name)
        return [info.qos_profile.reliability == ReliabilityPolicy.RELIABLE for info in infos]
