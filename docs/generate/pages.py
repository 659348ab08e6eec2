# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pages that are written from the code."""

import re
from pathlib import Path

from launch_arguments import launch_page
from markdown_page import code, table, write_page
from node_parameters import CONFIGS, parameter_table
from topic_texts import TEXTS

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("subscribes", "publishes", "service")


def write_launch(folder: Path) -> None:
    """Write launch.md."""
    write_page(folder / "launch.md", launch_page(ROOT / "launch"))


def write_parameters(folder: Path) -> None:
    """Write parameters.md."""
    parts = [
        "# Parameters",
        "Set them in a parameter file, or singly: `kpconv-ros run segment -p time_budget:=0.04`. A *live* one may be "
        "changed while the node runs; the others are read-only then. An unknown name, a wrong type or a value out of "
        'range is refused with the reason. Lists of texts are empty as `[""]` in ROS 2 parameter files.',
    ]
    for node in CONFIGS:
        parts += [f"## {node}", parameter_table(node)]
    write_page(folder / "parameters.md", parts)


def write_topics(folder: Path) -> None:
    """Write topics.md; starts every node."""
    from node_interfaces import interfaces_of_all, is_of_every_node

    endpoints, _ = interfaces_of_all()
    parts = [
        "# Topics and services",
        "Names with `~/` are below the node's own name, such as `/segment/output/labels`. All can be remapped: "
        "`-r '~/input/points:=/lidar/points'`. Outputs carry the stamp and frame of their cloud. Nothing is computed "
        "for a topic that nobody listens to. Every node also has the parameter services and, but for `simulate`, "
        "`replay` and `view`, those of a lifecycle node. What is *latched* (transient local) a late subscriber gets at "
        "once.",
        "Where tf2_ros is installed, `segment`, `encode` and `view` listen to TF, `register` listens and publishes, "
        "`simulate` and `replay` publish. This table was made without it.",
    ]
    for node, found in endpoints.items():
        own = [entry for entry in found if not is_of_every_node(entry)]
        own.sort(key=lambda entry: (KINDS.index(entry.kind), list(TEXTS[node]).index(entry.name)))
        rows = [
            (entry.kind, code(entry.name), re.sub("/(msg|srv)/", "/", entry.type), entry.qos, TEXTS[node][entry.name])
            for entry in own
        ]
        parts += [f"## {node}", table(("", "name", "type", "quality", "what"), rows)]
    parts += ["## Messages and services of this package"]
    for path in sorted((*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv"))):
        text = "".join(line for line in path.open(encoding="utf-8") if not line.startswith("# SPDX-"))
        parts += [f"### {path.name}", f"```\n{text.strip()}\n```"]
    write_page(folder / "topics.md", parts)
