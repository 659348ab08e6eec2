# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thin link's own participant: a DDS domain in which nothing but the link's two topics is announced.

A lifecycle node has some thirty endpoints, each of which DDS tells every other participant about: seconds of a
64 kbit/s link at every start. In a domain of its own the link has five, and what the robot's nodes tell each other
stays on the robot.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

RANGE_VARIABLE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
LINK_DEPTH = 100  # messages that may wait while a tile is decoded
JOIN_TIMEOUT = 5.0  # s
SAME_DOMAIN = -1


def link_qos() -> QoSProfile:
    """Best effort: what is lost is asked for by the receiver, with no acknowledgements or heartbeats of DDS."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=LINK_DEPTH,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


class Link:
    """Publishes and hears the messages of the link, in the node's domain or in one of its own."""

    def __init__(self, node: Node, domain: int) -> None:
        """Join the domain.

        Args:
            node: The node whose names, remaps and, for `SAME_DOMAIN`, endpoints are used.
            domain: Number of the domain, or `SAME_DOMAIN`.

        Raises:
            RuntimeError: If DDS cannot join it.
        """
        self._node = node
        self._own: tuple[rclpy.Context, Node, SingleThreadedExecutor, threading.Thread] | None = None
        self._endpoint = node if domain == SAME_DOMAIN else self._join(domain)
        self._made: list[Callable[[], object]] = []

    def publisher(self, message_type: Any, topic: str, qos: QoSProfile | None = None) -> Any:
        """A publisher of the link; ``topic`` is a name of the node, such as ``~/output/latents``."""
        made = self._endpoint.create_publisher(message_type, self._node.resolve_topic_name(topic), qos or link_qos())
        self._made.append(lambda: self._endpoint.destroy_publisher(made))
        return made

    def subscribe(
        self, message_type: Any, topic: str, callback: Callable[[Any], None], qos: QoSProfile | None = None
    ) -> LinkInput:
        """Hear a topic; the callback may come from a thread of its own."""
        name = self._node.resolve_topic_name(topic)
        made = self._endpoint.create_subscription(message_type, name, callback, qos or link_qos())
        return LinkInput(self._endpoint, made)

    def destroy(self) -> None:
        """Leave."""
        if self._own is None:
            for destroy in self._made:
                destroy()
            return
        context, endpoint, executor, thread = self._own
        executor.shutdown()
        thread.join(JOIN_TIMEOUT)
        endpoint.destroy_node()
        rclpy.try_shutdown(context=context)
        self._own = None

    def _join(self, domain: int) -> Node:
        context = rclpy.Context()
        # The robot's own nodes may be kept on this machine; the link is what leads out of it.
        with _environment(RANGE_VARIABLE, "SYSTEM_DEFAULT"):
            rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
            endpoint = Node(
                f"{self._node.get_name()}_link",
                namespace=self._node.get_namespace(),
                context=context,
                use_global_arguments=False,
                enable_rosout=False,
                start_parameter_services=False,
                parameter_overrides=[Parameter("start_type_description_service", value=False)],
            )
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(endpoint)
        thread = threading.Thread(target=_spin, args=(executor,), name="kpconv_link", daemon=True)
        thread.start()
        self._own = (context, endpoint, executor, thread)
        return endpoint


class LinkInput:
    """What is heard on a topic of the link, as `kpconv_ros.nodes.qos.Input`."""

    reliable = False

    def __init__(self, endpoint: Node, subscription: Any) -> None:
        """Watch a subscription."""
        self._endpoint, self._subscription = endpoint, subscription

    @property
    def topic_name(self) -> str:
        """Full name of the topic."""
        return str(self._subscription.topic_name)

    def num_publishers(self) -> int:
        """How many publishers it has."""
        return int(self._endpoint.count_publishers(self.topic_name))

    def num_unmatched(self) -> int:
        """None: a best-effort subscription hears every publisher."""
        return 0

    def destroy(self) -> None:
        """Hear no more."""
        self._endpoint.destroy_subscription(self._subscription)


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


@contextlib.contextmanager
def _environment(name: str, value: str) -> Any:
    """Set a variable while a context is made, which reads it then."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
