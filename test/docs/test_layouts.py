# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layouts for RViz and Foxglove name topics that the nodes publish."""

import json
import re

import pytest
import yaml
from topic_texts import TEXTS

PUBLISHED_BY_OTHERS = {"/clicked_point", "/goal_pose", "/initialpose"}  # what tools of RViz publish


def topics_of_nodes():
    """The full names of all topics, where nothing is remapped."""
    return {
        f"/{node}{name[1:]}" if name.startswith("~") else name if name.startswith("/") else f"/{name}"
        for node, texts in TEXTS.items()
        for name in texts
    }


def values_of(tree):
    """Every value below a tree of mappings and lists, with its key."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield key, value
        if isinstance(value, (dict, list)):
            yield from values_of(value)


def test_topics_of_the_foxglove_layout_exist(repository):
    layout = json.loads((repository / "config" / "foxglove_layout.json").read_text())
    topics = set(layout["configById"]["3D!world"]["topics"])
    topics |= {value for key, value in values_of(layout) if key == "topicToRender"}
    paths = [plotted["value"] for key, value in values_of(layout) if key == "paths" for plotted in value]
    topics |= {path.partition(".")[0] for path in paths}
    assert {"/segment/output/map", "/segment/debug/total_ms", "/diagnostics"} <= topics <= topics_of_nodes()
    assert all(path.endswith(("_ms.data", ".@derivative")) for path in paths)


def test_panels_of_the_foxglove_layout_are_laid_out_once_each(repository):
    layout = json.loads((repository / "config" / "foxglove_layout.json").read_text())
    placed = [value for key, value in values_of(layout["layout"]) if key in ("first", "second")]
    assert sorted(value for value in placed if isinstance(value, str)) == sorted(layout["configById"])


def test_what_the_foxglove_layout_plots_of_diagnostics_is_said_there(repository):
    from kpconv_ros.nodes.encode_node import NO_FACTS

    text = (repository / "config" / "foxglove_layout.json").read_text()
    keys = re.findall(r'values\[:\]\{key==\\"(\w+)\\"\}', text)
    assert keys and set(keys) <= set(NO_FACTS)


@pytest.mark.parametrize("name", ["segment", "register"])
def test_topics_of_the_rviz_configurations_exist(repository, name):
    tree = yaml.safe_load((repository / "config" / f"{name}.rviz").read_text())
    named = {value["Value"] for key, value in values_of(tree) if key == "Topic" and isinstance(value, dict)}
    assert len(named) > 2 and named - PUBLISHED_BY_OTHERS <= topics_of_nodes()
