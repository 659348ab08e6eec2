# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A Config dataclass as ROS parameters."""

from dataclasses import dataclass

import pytest

rclpy = pytest.importorskip("rclpy")
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from kpconv_ros.config_io import ConfigError, param  # noqa: E402
from kpconv_ros.nodes.parameters import (  # noqa: E402
    LiveConfig,
    ParameterError,
    check_no_unknown_parameters,
    declare_config,
    parameter_names,
)

pytestmark = pytest.mark.ros


@dataclass(frozen=True)
class Inner:
    radius: float = param(1.0, "radius [m]", 0.1, 10.0, live=True)


@dataclass(frozen=True)
class Outer:
    name: str = param("a", "a name")
    budget: float = param(0.5, "seconds", 0.0, 2.0, live=True)
    count: int = param(3, "how many", 1, 5, live=True)
    kept: tuple[str, ...] = param((), "names", live=True)
    removed: tuple[str, ...] = param((), "names", live=True)
    xyz: tuple[float, float, float] = param((0.0, 0.0, 0.0), "a place [m]")
    inner: Inner = param(Inner, "what is inside")

    def __post_init__(self):
        if set(self.kept) & set(self.removed):
            raise ConfigError("kept and removed overlap")


@pytest.fixture
def make_node(context):
    nodes = []

    def make(*arguments):
        nodes.append(Node("tested", context=context, cli_args=["--ros-args", *arguments]))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def test_defaults_are_those_of_the_dataclass(make_node):
    assert declare_config(make_node(), Outer) == Outer()


def test_the_command_line_is_taken_with_ints_for_floats(make_node):
    arguments = ["budget:=1", "kept:=[road, car]", "inner.radius:=2", "xyz:=[1, 2, 3]", "removed:=[]"]
    node = make_node(*[part for argument in arguments for part in ("-p", argument)])
    config = declare_config(node, Outer)
    assert config == Outer(budget=1.0, kept=("road", "car"), inner=Inner(2.0), xyz=(1.0, 2.0, 3.0))


@pytest.mark.parametrize("override", ["budget:=3.0", "budget:=abc", "count:=0", "count:=1.5", "inner.radius:=0"])
def test_wrong_values_are_refused_by_name(make_node, override):
    with pytest.raises(ParameterError, match=override.split(":=", maxsplit=1)[0]):
        declare_config(make_node("-p", override), Outer)


def test_values_are_checked_against_each_other(make_node):
    with pytest.raises(ParameterError, match="overlap"):
        declare_config(make_node("-p", "kept:=[a]", "-p", "removed:=[a]"), Outer)


def test_an_unknown_parameter_is_named_with_the_nearest_known_one(make_node):
    node = make_node("-p", "buget:=1.0")
    declare_config(node, Outer)
    with pytest.raises(ParameterError, match="'buget'; did you mean 'budget'"):
        check_no_unknown_parameters(node)


def test_what_every_node_has_is_not_unknown(make_node):
    node = make_node("-p", "use_sim_time:=true", "-p", "budget:=1.0")
    declare_config(node, Outer)
    check_no_unknown_parameters(node)


def test_descriptors_carry_text_range_and_read_only(make_node):
    node = make_node()
    declare_config(node, Outer)
    budget, name = node.describe_parameter("budget"), node.describe_parameter("name")
    assert budget.description == "seconds" and not budget.read_only and name.read_only
    assert budget.floating_point_range[0].to_value == 2.0
    assert node.describe_parameter("count").integer_range[0].to_value == 5


def test_live_changes_are_followed_and_refused_ones_leave_no_trace(make_node):
    node, changes = make_node(), []
    live = LiveConfig(node, Outer, changes.append)
    assert node.set_parameters([Parameter("budget", value=1.5)])[0].successful
    assert live.config.budget == 1.5 and changes[-1].budget == 1.5
    assert node.set_parameters([Parameter("inner.radius", value=3.0)])[0].successful
    assert live.config.inner.radius == 3.0
    kept = live.config
    assert not node.set_parameters([Parameter("budget", value=9.0)])[0].successful
    assert not node.set_parameters([Parameter("name", value="b")])[0].successful
    both = [Parameter("kept", value=["a"]), Parameter("removed", value=["a"])]
    result = node.set_parameters_atomically(both)
    assert not result.successful and "overlap" in result.reason
    assert live.config == kept


def test_an_empty_list_of_names_can_be_set_again(make_node):
    node = make_node("-p", "kept:=[road]")
    live = LiveConfig(node, Outer)
    assert live.config.kept == ("road",)
    assert node.set_parameters([Parameter("kept", value=[""])])[0].successful
    assert live.config.kept == ()


def test_names_are_those_that_get_declared(make_node):
    node = make_node()
    declare_config(node, Outer)
    declared = set(node._parameters) - {"use_sim_time", "start_type_description_service"}
    assert declared == set(parameter_names(Outer))
