# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `segment`, and if asked for the simulator, a bag and RViz.

ros2 launch kpconv_ros segment.launch.py input:=/lidar/points odometry:=/odom
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from kpconv_ros.nodes.launching import (
    as_bool,
    declare_arguments,
    extrinsic_parameters,
    fastdds_profile,
    removed_classes_parameters,
    replay_parameters,
    viewer,
)
from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory("kpconv_ros"))
OWN_ODOMETRY = "register/output/odometry"  # in the namespace of the nodes

ARGUMENTS = {
    "input": ("/lidar/points", "PointCloud2 topic to segment"),
    "odometry": ("/odom", "Odometry topic, used where TF is not; true: start the node register and use its odometry"),
    "odometry_tf": (
        "true",
        "with odometry:=true, send its pose as TF too; false where the lidar has a TF parent already",
    ),
    "register_params_file": (str(SHARE / "config" / "register.yaml"), "parameter file of the node register"),
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
    "removed_classes": (
        "",
        "classes that are not in ~/output/filtered and not in ~/output/map, by commas; empty: as in params_file",
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
    "viewer": ("false", "also start the live view in the browser, on http://localhost:9090"),
    "viewer_params_file": (str(SHARE / "config" / "view.yaml"), "parameter file of the node view"),
    "log_level": ("info", "debug, info, warn or error"),
}
PASSED_ON = ("model", "device", "pose_source", "map_frame", "sensor_frame")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the nodes are made when their values are known."""
    return LaunchDescription(
        [*fastdds_profile(SHARE), *declare_arguments(ARGUMENTS), OpaqueFunction(function=make_nodes)]
    )


def make_nodes(context: LaunchContext) -> list[IncludeLaunchDescription | Node]:
    """The nodes that the arguments ask for."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    has_own_odometry = value["odometry"].lower() == "true"
    odometry = OWN_ODOMETRY if has_own_odometry else value["odometry"]
    recorded_odometry = "/ground_truth/odom" if has_own_odometry else value["odometry"]
    use_sim_time = {"use_sim_time": as_bool(value["use_sim_time"])}
    common = {"package": "kpconv_ros", "namespace": value["namespace"], "output": "screen", "emulate_tty": True}
    log_level = ["--log-level", value["log_level"]]
    topics = [("lidar/points", value["input"]), ("odom", recorded_odometry)]
    source_tf = {"publish_tf": not has_own_odometry}  # else where the lidar is, is what the node register says
    nodes: list[IncludeLaunchDescription | Node] = [
        # First: where rviz2 is missing, launch fails here and would leave running what it has started.
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", value["rviz_config"]],
            parameters=[use_sim_time],
            condition=IfCondition(value["rviz"]),
        ),
        LifecycleNode(
            executable="segment",
            name="segment",
            parameters=[value["params_file"], segment_parameters(value, has_own_odometry), use_sim_time],
            remappings=[("~/input/points", value["input"]), ("~/input/odometry", odometry)],
            ros_arguments=log_level,
            **common,
        ),
    ]
    nodes += viewer(value, points=value["input"], odometry=odometry)
    if has_own_odometry:
        nodes.append(register_launch(value))
    if as_bool(value["simulator"]):
        parameters = [value["simulator_params_file"], source_tf, use_sim_time]
        nodes.append(Node(executable="simulate", name="simulate", parameters=parameters, remappings=topics, **common))
    if value["bag"]:
        parameters = [replay_parameters(value), source_tf]
        nodes.append(Node(executable="replay", name="replay", parameters=parameters, remappings=topics, **common))
    return nodes


def register_launch(value: dict[str, str]) -> IncludeLaunchDescription:
    """The node register: the odometry of the lidar itself, without poses that it does not believe.

    Raises:
        ValueError: If an extrinsic is given, which would be that of another odometry.
    """
    if value["extrinsic"]:
        raise ValueError(f"extrinsic: got {value['extrinsic']!r}, expected none with odometry:=true")
    passed_on = ("input", "namespace", "autostart", "use_sim_time", "log_level")
    arguments = {name: value[name] for name in passed_on}
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "register.launch.py")),
        launch_arguments={
            **arguments,
            "params_file": value["register_params_file"],
            "odometry": "~/output/odometry",
            "base_frame": "",
            "sensor_frame": "",
            "extrinsic": "",
            "publish_tf": value["odometry_tf"],
            "publish_held": "false",
            "simulator": "false",
            "bag": "",
            "rviz": "false",
            "viewer": "false",
        }.items(),
    )


def segment_parameters(value: dict[str, str], has_own_odometry: bool) -> dict[str, object]:
    """The parameters that launch arguments set; those left empty stay as in the parameter file."""
    parameters: dict[str, object] = {"pose_source": "odometry", "pose_timeout": 2.0} if has_own_odometry else {}
    parameters.update({name: value[name] for name in PASSED_ON if value[name]})
    parameters["autostart"] = as_bool(value["autostart"])
    parameters.update(removed_classes_parameters(value["removed_classes"]))
    return {**parameters, **extrinsic_parameters(value["extrinsic"])}
