# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy: each node may do what the running nodes do, and nothing else."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from node_interfaces import Endpoint, interfaces_of_all

ENCLAVE = "/kpconv_ros"
NOTICE = """ SPDX-FileCopyrightText: 2026 The kpconv_ros authors
     SPDX-License-Identifier: Apache-2.0

     Written by `python docs/generate policy` from the running nodes; see docs/security.md. What is remapped on your
     robot must be named here by its final name: the inputs below are those of the launch files. """
ATTRIBUTES = {"publishes": "publish", "subscribes": "subscribe", "service": "reply"}
CLOCK, TF = ("/clock",), ("/tf", "/tf_static")
ADDED: dict[str, dict[str, tuple[str, ...]]] = {
    "segment": {"subscribes": (*CLOCK, *TF, "/lidar/points", "/odom", "register/output/odometry")},
    "register": {"subscribes": (*CLOCK, *TF, "/lidar/points"), "publishes": ("/tf",)},
    "encode": {"subscribes": (*CLOCK, *TF, "segment/output/map", "segment/output/labels", "decode/output/requests")},
    "decode": {"subscribes": (*CLOCK, "encode/output/latents")},
    "simulate": {"subscribes": CLOCK, "publishes": ("/tf",)},
    "replay": {"publishes": ("/tf",)},
    "view": {"subscribes": (*CLOCK, *TF, "/lidar/points", "/odom")},
}
"""What depends on where a node runs: simulated time, tf2, and the remaps of the launch files."""


def names_by_kind(node: str, endpoints: Iterable[Endpoint]) -> dict[str, list[str]]:
    """What a node may do, by kind: names that it has, and those of `ADDED`."""
    return {
        kind: sorted({entry.name for entry in endpoints if entry.kind == kind} | set(ADDED[node].get(kind, ())))
        for kind in ATTRIBUTES
    }


def write_policy(path: Path) -> None:
    """Write the policy; starts every node."""
    endpoints, _ = interfaces_of_all()
    policy = ElementTree.Element("policy", version="0.2.0")
    policy.append(ElementTree.Comment(NOTICE))
    enclave = ElementTree.SubElement(ElementTree.SubElement(policy, "enclaves"), "enclave", path=ENCLAVE)
    profiles = ElementTree.SubElement(enclave, "profiles")
    for node, found in endpoints.items():
        profile = ElementTree.SubElement(profiles, "profile", ns="/", node=node)
        for kind, names in names_by_kind(node, found).items():
            tag = "service" if kind == "service" else "topic"
            if names:
                group = ElementTree.SubElement(profile, f"{tag}s", {ATTRIBUTES[kind]: "ALLOW"})
                for name in names:
                    ElementTree.SubElement(group, tag).text = name
    ElementTree.indent(policy)
    text = ElementTree.tostring(policy, encoding="unicode")
    path.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n', encoding="utf-8")
