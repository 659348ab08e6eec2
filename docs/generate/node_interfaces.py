# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What topics and services the nodes really have: they are started, made active, and asked.

The nodes run in this process, in a DDS domain that is kept to this machine, and see no cloud.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from kpconv_ros.nodes.decode_node import DecodeNode
from kpconv_ros.nodes.encode_node import EncodeNode
from kpconv_ros.nodes.register_node import RegisterNode
from kpconv_ros.nodes.replay_node import ReplayNode
from kpconv_ros.nodes.segment_node import SegmentNode
from kpconv_ros.nodes.simulate_node import SimulateNode

DISCOVERY = 10.0  # s within which a node knows its own topics
OF_EVERY_NODE = ("/rosout", "/parameter_events", "/clock")
SERVICES_OF_EVERY_NODE = (
    *("describe_parameters", "get_parameter_types", "get_parameters", "list_parameters", "set_parameters"),
    *("set_parameters_atomically", "get_type_description", "change_state", "get_state", "get_available_states"),
    *("get_available_transitions", "get_transition_graph"),
)
LIFECYCLE_NODES = {"segment": SegmentNode, "register": RegisterNode, "encode": EncodeNode, "decode": DecodeNode}


class Endpoint(NamedTuple):
    """A topic or service of a node."""

    kind: str
    """"subscribes", "publishes" or "service"."""
    name: str
    type: str
    qos: str
    """Of what it publishes, in words."""


@cache
def interfaces_of_all() -> tuple[dict[str, set[Endpoint]], dict[str, set[str]]]:
    """Topics and services, and names of parameters, of every node that users start."""
    endpoints, parameters = {}, {}
    for name in (*LIFECYCLE_NODES, "simulate", "replay"):
        with running(name) as node:
            endpoints[name] = _endpoints(node)
            own = [key for key in node._parameters if key != "use_sim_time" and "type_description" not in key]
            parameters[name] = {key for key in own if not key.startswith("qos_overrides.")}
        if name == "encode":  # it hears one of two inputs
            with running(name, input="scans") as node:
                endpoints[name] |= _endpoints(node)
    return endpoints, parameters


@contextmanager
def running(name: str, **settings: Any) -> Iterator[Node]:
    """A node that has come as far as it comes without clouds."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "replay":
            _write_recording(Path(folder))
            settings = {"path": folder, "mode": "lockstep", "patience": 60.0}
        if name == "segment":
            settings = {"device": "cpu"}
        arguments = [word for key, value in settings.items() for word in ("-p", f"{key}:={value}")]
        rclpy.init(args=["--ros-args", "--log-level", "fatal", *arguments])
        node: Any = None
        try:
            if name in LIFECYCLE_NODES:
                overrides = [Parameter("autostart", Parameter.Type.BOOL, False)]
                node = LIFECYCLE_NODES[name](parameter_overrides=overrides)
                node.trigger_configure()
                node.trigger_activate()
            else:
                node = SimulateNode() if name == "simulate" else ReplayNode()
            yield node
        finally:
            if node is not None:
                node.destroy_node()
            rclpy.try_shutdown()


def _endpoints(node: Any) -> set[Endpoint]:
    """Ask a node for its topics and services, as soon as it knows its own."""
    name, space = node.get_name(), node.get_namespace()
    full, deadline = node.get_fully_qualified_name(), time.monotonic() + DISCOVERY
    found: set[Endpoint] = set()
    while time.monotonic() < deadline:
        before, found = found, set()
        for topic, types in node.get_publisher_names_and_types_by_node(name, space):
            found.add(Endpoint("publishes", _relative(topic, full), types[0], _qos(node, topic)))
        for topic, types in node.get_subscriber_names_and_types_by_node(name, space):
            found.add(Endpoint("subscribes", _relative(topic, full), types[0], ""))
        for service, types in node.get_service_names_and_types_by_node(name, space):
            found.add(Endpoint("service", _relative(service, full), types[0], ""))
        if found and found == before:
            break
        time.sleep(0.3)
    return found


def is_of_every_node(entry: Endpoint) -> bool:
    """Whether any ROS 2 node, or any lifecycle node, has it."""
    last = entry.name.rsplit("/", 1)[-1]
    clock = entry.name == "/clock" and entry.kind == "publishes"
    return not clock and (entry.name in OF_EVERY_NODE or last in SERVICES_OF_EVERY_NODE or last == "transition_event")


def _relative(name: str, full_name: str) -> str:
    """``~/...`` for a private name, without the slash for a relative one, as they stand in remaps."""
    if name.startswith(full_name + "/"):
        return "~" + name[len(full_name) :]
    return name if name in ("/diagnostics", "/tf", "/tf_static", *OF_EVERY_NODE) else name.lstrip("/")


def _qos(node: Any, topic: str) -> str:
    infos = node.get_publishers_info_by_topic(topic)
    profile = next((info.qos_profile for info in infos if info.node_name == node.get_name()), None)
    if profile is None:
        return ""
    words = ["reliable" if profile.reliability == ReliabilityPolicy.RELIABLE else "best effort"]
    return ", ".join(words + ["latched"] * (profile.durability == DurabilityPolicy.TRANSIENT_LOCAL))


def _write_recording(folder: Path) -> None:
    """One scan in KITTI's layout, with labels and a pose."""
    for name in ("velodyne", "labels"):
        (folder / name).mkdir()
    np.zeros((1, 4), np.float32).tofile(folder / "velodyne" / "000000.bin")
    np.zeros(1, np.uint32).tofile(folder / "labels" / "000000.label")
    identity = " ".join(str(number) for number in np.eye(4)[:3].ravel())
    (folder / "poses.txt").write_text(identity + "\n")
    (folder / "times.txt").write_text("0.0\n")
    (folder / "calib.txt").write_text(f"Tr: {identity}\n")
