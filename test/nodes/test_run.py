# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros run NODE`` says to ROS what the user said."""

import argparse
import importlib
import os

import pytest

from kpconv_ros.nodes import run


def parse(*arguments):
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return parser.parse_args(arguments)


def test_arguments_are_passed_on_in_ros_form():
    args = parse("segment", "--params-file", "f.yaml", "-p", "a:=1", "-p", "b:=x", "-r", "odom:=/odom")
    expected = ["--ros-args", "--params-file", "f.yaml", "-p", "a:=1", "-p", "b:=x", "-r", "odom:=/odom"]
    assert run.ros_arguments(args) == expected
    assert run.ros_arguments(parse("replay", "--log-level", "debug"))[-2:] == ["--log-level", "debug"]


def test_what_is_no_assignment_is_refused():
    with pytest.raises(SystemExit, match="expected NAME:=VALUE"):
        run.ros_arguments(parse("segment", "-p", "a=1"))


def test_an_unknown_node_is_refused():
    with pytest.raises(SystemExit):
        parse("segmnet")


@pytest.mark.ros
@pytest.mark.parametrize("node", run.NODES)
def test_every_node_has_a_main(node):
    assert callable(importlib.import_module(f"kpconv_ros.nodes.{node}_node").main)


@pytest.mark.ros
def test_a_profile_for_large_clouds_is_set_only_where_the_user_set_none(monkeypatch):
    for name in run.FASTDDS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    run.use_large_messages()
    assert os.environ[run.FASTDDS_VARIABLES[0]].endswith("fastdds.xml")
    for name in run.FASTDDS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(run.FASTDDS_VARIABLES[1], "mine.xml")
    run.use_large_messages()
    assert run.FASTDDS_VARIABLES[0] not in os.environ
