# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `register`, and if asked for the simulator, a bag and RViz.

ros2 launch kpconv_ros register.launch.py input:=/lidar/points base_frame:=base_link
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from kpconv_ros.nodes.launching import (
    as_bool,
    declare_arguments,
    extrinsic_parameters,
    fastdds_profile,
    replay_parameters,
    viewer,
)
from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory("kpconv_ros"))

ARGUMENTS = {
    "input": ("/lidar/points", "PointCloud2 topic to follow"),
    "odometry": ("~/output/odometry", "topic on which the odometry is published"),
    "map_tile": ("~/input/map_tile", "topic of another robot's map tile"),
    "namespace": ("", "namespace of all nodes"),
    "params_file": (str(SHARE / "config" / "register.yaml"), "parameter file of the node register"),
    "odom_frame": ("", "frame in which the odometry is given; empty: as in params_file"),
    "base_frame": ("", "frame whose odometry is published, such as base_link; empty: as in params_file"),
    "sensor_frame": ("", "frame of the clouds that the extrinsic is for; empty: as in params_file"),
    "extrinsic": ("", "sensor in base_frame, 'x y z roll pitch yaw' [m, rad]; empty: as in params_file, or TF"),
    "sampler": ("", "which points are registered; empty: as in params_file"),
    "publish_tf": ("true", "also send the pose as TF"),
    "publish_held": ("true", "publish the last good pose, with its grown covariance, while lost"),
    "autostart": ("true", "configure and activate at start; false leaves that to a lifecycle manager"),
    "use_sim_time": ("false", "take the time from /clock"),
    "simulator": ("false", "also start the simulated lidar; its true pose is on /ground_truth/odom"),
    "simulator_params_file": (str(SHARE / "config" / "simulate.yaml"), "parameter file of the node simulate"),
    "bag": ("", "also play this bag or KITTI-layout folder; its odometry goes to /ground_truth/odom"),
    "bag_sequence": ("", "sequence of a KITTI-layout folder"),
    "bag_rate": ("1.0", "multiple of the recorded speed"),
    "rviz": ("false", "also start RViz"),
    "rviz_config": (str(SHARE / "config" / "register.rviz"), "RViz configuration"),
    "viewer": ("false", "also start the live view in the browser, on http://localhost:9090"),
    "viewer_params_file": (str(SHARE / "config" / "view.yaml"), "parameter file of the node view"),
    "log_level": ("info", "debug, info, warn or error"),
}
PASSED_ON = ("odom_frame", "base_frame", "sensor_frame", "sampler")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the nodes are made when their values are known."""
    return LaunchDescription(
        [*fastdds_profile(SHARE), *declare_arguments(ARGUMENTS), OpaqueFunction(function=make_nodes)]
    )


def make_nodes(context: LaunchContext) -> list[Node]:
    """The nodes that the arguments ask for."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    use_sim_time = {"use_sim_time": as_bool(value["use_sim_time"])}
    common = {"package": "kpconv_ros", "namespace": value["namespace"], "output": "screen", "emulate_tty": True}
    topics = [("lidar/points", value["input"]), ("odom", "/ground_truth/odom")]
    names = {"~/input/points": "input", "~/output/odometry": "odometry", "~/input/map_tile": "map_tile"}
    nodes = [
        # First: where rviz2 is missing, launch fails here and would leave running what it has started.
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", value["rviz_config"]],
            parameters=[use_sim_time],
            condition=IfCondition(value["rviz"]),
        ),
        LifecycleNode(
            executable="register",
            name="register",
            parameters=[value["params_file"], register_parameters(value), use_sim_time],
            remappings=[(topic, value[name]) for topic, name in names.items() if value[name] != topic],
            ros_arguments=["--log-level", value["log_level"]],
            **common,
        ),
    ]
    odometry = value["odometry"].replace("~", "register")
    nodes += viewer(value, points=value["input"], odometry=odometry)
    no_tf = {"publish_tf": False}  # where the lidar is, is what the node register says
    if as_bool(value["simulator"]):
        parameters = [value["simulator_params_file"], no_tf, use_sim_time]
        nodes.append(Node(executable="simulate", name="simulate", parameters=parameters, remappings=topics, **common))
    if value["bag"]:
        parameters = [replay_parameters(value), no_tf]
        nodes.append(Node(executable="replay", name="replay", parameters=parameters, remappings=topics, **common))
    return nodes


def register_parameters(value: dict[str, str]) -> dict[str, object]:
    """The parameters that launch arguments set; those left empty stay as in the parameter file."""
    parameters: dict[str, object] = {name: value[name] for name in PASSED_ON if value[name]}
    parameters.update({name: as_bool(value[name]) for name in ("autostart", "publish_tf", "publish_held")})
    return {**parameters, **extrinsic_parameters(value["extrinsic"])}
