# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated lidar, segmentation and RViz: see it work without a robot.

ros2 launch kpconv_ros demo.launch.py
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription

SHARE = Path(get_package_share_directory("kpconv_ros"))

ARGUMENTS = {
    "params_file": (str(SHARE / "config" / "demo.yaml"), "parameter file of both nodes"),
    "model": ("", "name of a model or path of its folder; empty: as in params_file"),
    "device": ("", "auto, cpu, cuda or cuda:N; empty: as in params_file"),
    "rviz": ("true", "also start RViz"),
    "viewer": ("false", "also start the live view in the browser, on http://localhost:9090"),
    "viewer_params_file": (str(SHARE / "config" / "view.yaml"), "parameter file of the node view"),
    "use_sim_time": ("false", "take the time from /clock"),
}


def generate_launch_description() -> LaunchDescription:
    """The launch file of the node, with the simulator."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    passed_on = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    segment = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "segment.launch.py")),
        launch_arguments={
            **passed_on,
            "simulator": "true",
            "simulator_params_file": LaunchConfiguration("params_file"),
        }.items(),
    )
    return LaunchDescription([*arguments, segment])
