# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `segment`, and if asked for the simulator, a bag and RViz.

ros2 launch kpconv_ros segment.launch.py input:=/lidar/points odometry:=/odom
"""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory("kpconv_ros"))
FASTDDS_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # Kilted; Humble and Jazzy

ARGUMENTS = {
    "input": ("/lidar/points", "PointCloud2 topic to segment"),
    "odometry": ("/odom", "Odometry topic, used where TF is not"),
    "namespace": ("", "namespace of all nodes"),
    "params_file": (str(SHARE / "config" / "segment.yaml"), "parameter file of the node segment"),
    "model": ("", "name of a model or path of its folder; empty: as in params_file"),
    "device": ("", "auto, cpu, cuda or cuda:N; empty: as in params_file"),
    "pose_source": ("", "auto, tf, odometry or none; empty: as in params_file"),
    "map_frame": ("", "fixed frame of the map, for TF (odom or map); empty: as in params_file"),
    "sensor_frame": ("", "frame of the clouds that the extrinsic is for; empty: as in params_file"),
    "extrinsic": (
        "",
        "sensor in the odometry's child frame, 'x y z roll pitch yaw' [m, rad]; empty: as in params_file",
    ),
    "autostart": ("true", "configure and activate at start; false leaves that to a lifecycle manager"),
    "use_sim_time": ("false", "take the time from /clock"),
    "simulator": ("false", "also start the simulated lidar"),
    "simulator_params_file": (str(SHARE / "config" / "simulate.yaml"), "parameter file of the node simulate"),
    "bag": ("", "also play this bag or KITTI-layout folder; its clouds go to the input, its odometry to odometry"),
    "bag_sequence": ("", "sequence of a KITTI-layout folder"),
    "bag_rate": ("1.0", "multiple of the recorded speed"),
    "rviz": ("false", "also start RViz"),
    "rviz_config": (str(SHARE / "config" / "segment.rviz"), "RViz configuration"),
    "log_level": ("info", "debug, info, warn or error"),
}
PASSED_ON = ("model", "device", "pose_source", "map_frame", "sensor_frame")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the nodes are made when their values are known."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*fastdds_profile(), *arguments, OpaqueFunction(function=make_nodes)])


def fastdds_profile() -> list[SetEnvironmentVariable]:
    """Room for big clouds in Fast DDS' shared memory, unless the user has chosen a profile."""
    if any(name in os.environ for name in FASTDDS_VARIABLES):
        return []
    return [SetEnvironmentVariable(name, str(SHARE / "config" / "fastdds.xml")) for name in FASTDDS_VARIABLES]


def make_nodes(context: LaunchContext) -> list[Node]:
    """The nodes that the arguments ask for."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    use_sim_time = {"use_sim_time": as_bool(value["use_sim_time"])}
    common = {"package": "kpconv_ros", "namespace": value["namespace"], "output": "screen", "emulate_tty": True}
    log_level = ["--log-level", value["log_level"]]
    topics = [("lidar/points", value["input"]), ("odom", value["odometry"])]
    nodes = [
        LifecycleNode(
            executable="segment",
            name="segment",
            parameters=[value["params_file"], segment_parameters(value), use_sim_time],
            remappings=[("~/input/points", value["input"]), ("~/input/odometry", value["odometry"])],
            ros_arguments=log_level,
            **common,
        )
    ]
    if as_bool(value["simulator"]):
        parameters = [value["simulator_params_file"], use_sim_time]
        nodes.append(Node(executable="simulate", name="simulate", parameters=parameters, remappings=topics, **common))
    if value["bag"]:
        parameters = [replay_parameters(value)]
        nodes.append(Node(executable="replay", name="replay", parameters=parameters, remappings=topics, **common))
    rviz_arguments = ["-d", value["rviz_config"]]
    nodes.append(
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=rviz_arguments,
            parameters=[use_sim_time],
            condition=IfCondition(value["rviz"]),
        )
    )
    return nodes


def segment_parameters(value: dict[str, str]) -> dict[str, object]:
    """The parameters that launch arguments set; those left empty stay as in the parameter file."""
    parameters: dict[str, object] = {name: value[name] for name in PASSED_ON if value[name]}
    parameters["autostart"] = as_bool(value["autostart"])
    if value["extrinsic"]:
        numbers = [float(number) for number in value["extrinsic"].split()]
        if len(numbers) != 6:
            raise ValueError(f"extrinsic: got {value['extrinsic']!r}, expected 'x y z roll pitch yaw'")
        parameters["extrinsic_xyz"], parameters["extrinsic_rpy"] = numbers[:3], numbers[3:]
    return parameters


def replay_parameters(value: dict[str, str]) -> dict[str, object]:
    """The parameters of the node replay; it publishes /clock where the others listen to it."""
    return {
        "path": value["bag"],
        "sequence": value["bag_sequence"],
        "rate": float(value["bag_rate"]),
        "clock": as_bool(value["use_sim_time"]),
    }


def as_bool(text: str) -> bool:
    """Read a launch argument that is true or false."""
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"got '{text}', expected true or false")
    return text.lower() in ("true", "1")
