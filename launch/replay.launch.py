# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording played to the live nodes, their topics open to anybody who listens, and a report at the end.

ros2 launch kpconv_ros replay.launch.py bag:=drive.mcap model:=semantickitti rviz:=true
"""

import shlex
from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch.actions import EmitEvent, ExecuteProcess, OpaqueFunction, RegisterEventHandler
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from kpconv_ros.nodes.launching import declare_arguments, evaluate_arguments, fastdds_profile, viewer
from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory("kpconv_ros"))
COMMAND = Path(get_package_prefix("kpconv_ros")) / "lib" / "kpconv_ros" / "kpconv-ros"

ARGUMENTS = {
    "bag": ("", "bag or KITTI-layout folder to play"),
    "sequence": ("", "sequence of a KITTI-layout folder"),
    "mode": ("live", "live: at the recorded rate; rate: faster and faster, until the highest rate that holds is found"),
    "parts": ("segmentation,registration", "what to run, by commas"),
    "model": ("street_sim", "name of a model or path of its folder"),
    "device": ("auto", "auto, cpu, cuda or cuda:N"),
    "poses": ("auto", "poses of the segmentation: auto, recording, register or none"),
    "extrinsic": ("", "sensor in the odometry's child frame, 'x y z roll pitch yaw' [m, rad]"),
    "points_topic": ("", "topic of the clouds in the bag; empty: the only one"),
    "ground_truth_topic": ("", "topic of the labelled clouds in the bag; empty: the one so named"),
    "odometry_topic": ("", "topic of the odometry in the bag; empty: the only one"),
    "start": ("0.0", "where to begin, after the beginning of the recording [s]"),
    "duration": ("", "how much to play [s]; empty: all"),
    "stride": ("1", "take every so many scans"),
    "out": ("out/evaluate", "folder for report.json, report.html and logs"),
    "options": ("", "further arguments of kpconv-ros evaluate, such as '--segment time_budget:=0.2'"),
    "rviz": ("false", "also start RViz, to look on"),
    "rviz_config": (str(SHARE / "config" / "segment.rviz"), "RViz configuration"),
    "viewer": ("false", "also start the live view in the browser, on http://localhost:9090"),
    "viewer_params_file": (str(SHARE / "config" / "view.yaml"), "parameter file of the node view"),
    "use_sim_time": ("false", "of RViz and the live view: take the time from /clock"),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the processes are made when their values are known."""
    return LaunchDescription(
        [*fastdds_profile(SHARE), *declare_arguments(ARGUMENTS), OpaqueFunction(function=make_processes)]
    )


def make_processes(context: LaunchContext) -> list[Node | ExecuteProcess | RegisterEventHandler]:
    """RViz, and the evaluation, which starts the nodes and ends the launch when its report is written."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    words = [*evaluate_arguments(value), *shlex.split(value["options"])]
    evaluate = ExecuteProcess(cmd=[str(COMMAND), "evaluate", *words], output="screen", emulate_tty=True)
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", value["rviz_config"]],
            parameters=[{"use_sim_time": value["use_sim_time"].lower() == "true"}],
            condition=IfCondition(value["rviz"]),
        ),
        *viewer(value),
        evaluate,
        RegisterEventHandler(OnProcessExit(target_action=evaluate, on_exit=[EmitEvent(event=Shutdown())])),
    ]
