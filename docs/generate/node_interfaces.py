# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What topics and services the nodes really have: they are started, made active, and asked.

The nodes run in this process, in a DDS domain that is kept to this machine, and see no cloud.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from kpconv_ros.nodes.decode_node import DecodeNode
from kpconv_ros.nodes.encode_node import EncodeNode
from kpconv_ros.nodes.register_node import RegisterNode
from kpconv_ros.nodes.replay_node import ReplayNode
from kpconv_ros.nodes.segment_node import SegmentNode
from kpconv_ros.nodes.simulate_node import SimulateNode
from kpconv_ros.nodes.view_node import ViewNode

VIEW_PORT = 29090  # not where a live view may be running
OF_EVERY_NODE = ("/rosout", "/parameter_events", "/clock")
SERVICES_OF_NODES = (
    *("describe_parameters", "get_parameter_types", "get_parameters", "list_parameters", "set_parameters"),
    *("set_parameters_atomically", "get_type_description"),
)
SERVICES_OF_LIFECYCLE = (
    *("change_state", "get_state", "get_available_states", "get_available_transitions", "get_transition_graph"),
)
SERVICES_OF_EVERY_NODE = (*SERVICES_OF_NODES, *SERVICES_OF_LIFECYCLE)
OTHER_NODES = {"simulate": SimulateNode, "replay": ReplayNode, "view": ViewNode}
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
    for name in (*LIFECYCLE_NODES, *OTHER_NODES):
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
        if name == "view":
            settings = {"port": VIEW_PORT}
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
                node = OTHER_NODES[name]()
            if name == "view":
                node.listen_to_points(True)
            yield node
        finally:
            if node is not None:
                node.destroy_node()
            rclpy.try_shutdown()


def _endpoints(node: Any) -> set[Endpoint]:
    """What a node has made, and what rcl makes for every node, out of sight of rclpy."""
    full = node.get_fully_qualified_name()
    found = {Endpoint("publishes", name, "", "") for name in ("/rosout", "/parameter_events")}
    found |= {Endpoint("service", f"~/{name}", "", "") for name in SERVICES_OF_NODES}
    if node.get_name() in LIFECYCLE_NODES:
        found |= {Endpoint("service", f"~/{name}", "", "") for name in SERVICES_OF_LIFECYCLE}
        found.add(Endpoint("publishes", "~/transition_event", "", ""))
    for made in node.publishers:
        name = _relative(made.topic_name, full)
        if name not in OF_EVERY_NODE or name == "/clock":
            found.add(Endpoint("publishes", name, _type(made.msg_type), _qos(made.qos_profile)))
    for made in node.subscriptions:
        found.add(Endpoint("subscribes", _relative(made.topic_name, full), _type(made.msg_type), ""))
    for made in node.services:
        name = _relative(made.service_name, full)
        if name.rsplit("/", 1)[-1] not in SERVICES_OF_EVERY_NODE:
            found.add(Endpoint("service", name, _type(made.srv_type), ""))
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


def _type(interface: type) -> str:
    """Such as ``sensor_msgs/msg/PointCloud2``."""
    package, kind, *_ = interface.__module__.split(".")
    return f"{package}/{kind}/{interface.__name__}"


def _qos(profile: QoSProfile) -> str:
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
