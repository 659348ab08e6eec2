# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of the documentation against the code that they tell of."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy")
from launch_arguments import arguments_of
from node_parameters import CONFIGS, parameters_of

from kpconv_ros.config_io import param

pytestmark = pytest.mark.ros


def rows_of(page, node):
    """The cells of the table below the heading of a node."""
    section = page.read_text().split(f"\n## {node}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [re.split(r" ?(?<!\\)\| ?", line)[1:-1] for line in lines[2:]]


@dataclass(frozen=True)
class Inner:
    rate: float = param(0.5, "how often [Hz]", 0.1, live=True)


@dataclass(frozen=True)
class Outer:
    name: str = param("", "a name")
    place: tuple[float, float] = param((0.0, 1.5), "where [m]")
    kept: tuple[str, ...] = param((), "what stays")
    is_on: bool = param(True, "whether")
    inner: Inner = param(Inner, "the rest")


def test_every_executable_that_users_start_has_its_tables(repository):
    executables = {path.name for path in (repository / "scripts").iterdir()} - {"kpconv-ros"}
    assert set(CONFIGS) == executables


def test_a_parameter_is_told_with_type_default_range_and_text():
    assert [tuple(entry) for entry in parameters_of(Outer)] == [
        ("name", "str", '""', "", False, "a name"),
        ("place", "2 float", "[0.0, 1.5]", "", False, "where [m]"),
        ("kept", "str list", "[]", "", False, "what stays"),
        ("is_on", "bool", "true", "", False, "whether"),
        ("inner.rate", "float", "0.5", "at least 0.1", True, "how often [Hz]"),
    ]


@pytest.mark.parametrize("node", CONFIGS)
def test_every_parameter_is_in_the_table_with_its_default(repository, node):
    told = {row[0]: row for row in rows_of(repository / "docs" / "parameters.md", node)}
    known = [entry for config in CONFIGS[node] for entry in parameters_of(config)]
    assert list(told) == [f"`{entry.name}`" for entry in known]
    for entry in known:
        assert told[f"`{entry.name}`"][2] == f"`{entry.default}`"


@pytest.mark.parametrize("name", ["parameters", "launch"])
def test_a_written_page_is_what_the_code_gives(repository, tmp_path, name):
    import pages

    getattr(pages, f"write_{name}")(tmp_path)
    committed = (repository / "docs" / f"{name}.md").read_text()
    assert (tmp_path / f"{name}.md").read_text() == committed, f"run: python docs/generate {name}"


def test_launch_arguments_are_read_without_running_the_file(tmp_path):
    path = tmp_path / "some.launch.py"
    path.write_text(
        'raise SystemExit("was run")\n'
        'ARGUMENTS = {"input": ("/points", "a topic"), "file": (str(SHARE / "config" / "a.yaml"), "a file")}\n'
    )
    assert [tuple(argument) for argument in arguments_of(path)] == [
        ("input", "/points", "a topic"),
        ("file", "$share/config/a.yaml", "a file"),
    ]


@pytest.mark.parametrize("text", ["OTHER = {}\n", ""])
def test_a_launch_file_without_arguments_is_an_error(tmp_path, text):
    (tmp_path / "some.launch.py").write_text(text)
    with pytest.raises(ValueError, match="no table ARGUMENTS"):
        arguments_of(tmp_path / "some.launch.py")


@pytest.mark.slow
def test_the_running_nodes_have_the_topics_services_and_parameters_of_the_pages(repository, tmp_path):
    from node_interfaces import interfaces_of_all, is_of_every_node
    from pages import write_topics
    from security_policy import names_by_kind, write_policy
    from topic_texts import TEXTS

    endpoints, parameters = interfaces_of_all()
    for node, names in parameters.items():
        assert {row[0].strip("`") for row in rows_of(repository / "docs" / "parameters.md", node)} == names
    for node, found in endpoints.items():
        assert {entry.name for entry in found if not is_of_every_node(entry)} == set(TEXTS[node])
    write_topics(tmp_path)
    assert (tmp_path / "topics.md").read_text() == (repository / "docs" / "topics.md").read_text()
    write_policy(tmp_path / "policy.xml")
    policy = repository / "config" / "sros2_policy.xml"
    assert (tmp_path / "policy.xml").read_text() == policy.read_text()
    for profile in ElementTree.parse(policy).iter("profile"):
        allowed = {entry.text for entry in profile.iter() if entry.tag in ("topic", "service")}
        node = profile.get("node")
        assert allowed == {name for names in names_by_kind(node, endpoints[node]).values() for name in names}


def test_the_policy_lets_every_node_do_something_and_denies_by_leaving_out(repository):
    policy = ElementTree.parse(repository / "config" / "sros2_policy.xml").getroot()
    profiles = {profile.get("node"): profile for profile in policy.iter("profile")}
    assert set(profiles) == set(CONFIGS)
    for profile in profiles.values():
        names = [entry.text for entry in profile.iter() if entry.tag in ("topic", "service")]
        assert names and not [name for name in names if "*" in name]
        assert {value for group in profile for value in group.attrib.values()} == {"ALLOW"}
