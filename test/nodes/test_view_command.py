# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros view`` says to ROS what the user said."""

import argparse

import pytest

from kpconv_ros.nodes import view_command


def words_of(*arguments):
    parser = argparse.ArgumentParser()
    view_command.add_arguments(parser)
    return view_command.ros_arguments(parser.parse_args(arguments))


def test_options_become_parameters_and_remaps():
    assert words_of() == ["--ros-args", "-p", "open_browser:=true"]
    assert words_of("--no-browser", "--port", "9000", "--save", "a.rrd", "--topic", "labels:=/my/labels") == [
        *("--ros-args", "-p", "port:=9000", "-p", "save:=a.rrd", "-p", "open_browser:=false"),
        *("-r", "segment/output/labels:=/my/labels"),
    ]


@pytest.mark.parametrize("topic", ["labels", "labels:=", "clouds:=/my/clouds"])
def test_a_topic_that_is_not_shown_is_refused(topic):
    with pytest.raises(SystemExit, match="expected NAME:=TOPIC with one of points, labels, map"):
        words_of("--topic", topic)
