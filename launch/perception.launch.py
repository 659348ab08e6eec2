# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole system: segmentation on the map that registration lays out, and that map over a thin link.

ros2 launch kpconv_ros perception.launch.py input:=/lidar/points model:=semantickitti rate:=64000.0
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from kpconv_ros.nodes.launching import as_bool, check_registration, declare_arguments
from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory("kpconv_ros"))
FILTERED = "segment/output/filtered"  # in the namespace of the nodes
MAP = "segment/output/map"

ARGUMENTS = {
    "input": ("/lidar/points", "PointCloud2 topic of the lidar"),
    "registration": ("raw", "raw: register takes the input, and segment the odometry of register; filtered: register "
                     "takes the scans without moving_classes, and segment the odometry named by odometry"),
    "odometry": ("", "with registration:=filtered, the Odometry topic of the robot that places the scans"),
    "odometry_tf": ("true", "send the pose of register as TF too; false where the lidar has a TF parent already"),
    "moving_classes": ("", "classes that are not in the map and not in ~/output/filtered, by commas"),
    "namespace": ("", "namespace of all nodes"),
    "model": ("", "name of a model or path of its folder; empty: as in segment_params_file"),
    "device": ("", "auto, cpu, cuda or cuda:N; empty: as in segment_params_file"),
    "segment_params_file": (str(SHARE / "config" / "segment.yaml"), "parameter file of the node segment"),
    "register_params_file": (str(SHARE / "config" / "register.yaml"), "parameter file of the node register"),
    "encode_params_file": (str(SHARE / "config" / "encode.yaml"), "parameter file of the node encode"),
    "decode_params_file": (str(SHARE / "config" / "decode.yaml"), "parameter file of the node decode"),
    "link": ("true", "start encode, which sends the map"),
    "rate": ("", "hard cap of what is sent, headers included [bit/s]; empty: as in encode_params_file"),
    "link_domain": ("70", "DDS domain of the link; -1: that of the nodes, which costs seconds of a thin link"),
    "receiver": ("false", "also start decode here, the receiver's end, to see what it would show"),
    "autostart": ("true", "configure and activate at start; false leaves that to a lifecycle manager"),
    "use_sim_time": ("false", "take the time from /clock"),
    "simulator": ("false", "also start the simulated lidar; its true pose is on /ground_truth/odom"),
    "simulator_params_file": (str(SHARE / "config" / "simulate.yaml"), "parameter file of the node simulate"),
    "bag": ("", "also play this bag or KITTI-layout folder; its odometry goes to /ground_truth/odom"),
    "bag_sequence": ("", "sequence of a KITTI-layout folder"),
    "bag_rate": ("1.0", "multiple of the recorded speed"),
    "rviz": ("false", "also start RViz"),
    "viewer": ("false", "also start the live view in the browser, on http://localhost:9090"),
    "viewer_params_file": (str(SHARE / "config" / "view.yaml"), "parameter file of the node view"),
    "log_level": ("info", "debug, info, warn or error"),
}  # fmt: skip
SHARED = ("namespace", "autostart", "use_sim_time", "log_level")
SOURCES = (
    "simulator",
    "simulator_params_file",
    "bag",
    "bag_sequence",
    "bag_rate",
    "rviz",
    "viewer",
    "viewer_params_file",
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the files of the nodes are included when their values are known."""
    return LaunchDescription([*declare_arguments(ARGUMENTS), OpaqueFunction(function=include_files)])


def include_files(context: LaunchContext) -> list[GroupAction]:
    """The launch files of the nodes, with what each of them is told.

    The ends of the link come first, each with the DDS profile of its own, which ends with its group.

    Raises:
        ValueError: If segment and register would wait for each other.
    """
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    check_registration(value["registration"], value["odometry"])
    files = []
    if as_bool(value["link"]):
        files.append(include("transmit", transmit_arguments(value)))
    if as_bool(value["receiver"]):
        files.append(include("receive", receive_arguments(value)))
    if value["registration"] == "filtered":
        files.append(include("register", register_arguments(value)))
    return [*files, include("segment", segment_arguments(value))]


def include(name: str, arguments: dict[str, str]) -> GroupAction:
    """A launch file of this package, that leaves environment and arguments of the others alone."""
    source = PythonLaunchDescriptionSource(str(SHARE / "launch" / f"{name}.launch.py"))
    return GroupAction([IncludeLaunchDescription(source, launch_arguments=arguments.items())], forwarding=False)


def segment_arguments(value: dict[str, str]) -> dict[str, str]:
    """Of segment.launch.py, which starts register too where that takes the raw scans."""
    is_raw = value["registration"] == "raw"
    passed_on = (*SHARED, *SOURCES, "input", "model", "device", "odometry_tf", "register_params_file")
    return {
        **{name: value[name] for name in passed_on},
        "params_file": value["segment_params_file"],
        "odometry": "true" if is_raw else value["odometry"],
        "removed_classes": value["moving_classes"],
    }


def register_arguments(value: dict[str, str]) -> dict[str, str]:
    """Of register.launch.py, where it takes the scans without the classes that move."""
    return {
        **{name: value[name] for name in SHARED},
        "input": FILTERED,
        "params_file": value["register_params_file"],
        "publish_tf": value["odometry_tf"],
        "publish_held": "false",
    }


def transmit_arguments(value: dict[str, str]) -> dict[str, str]:
    """Of transmit.launch.py."""
    return {
        **{name: value[name] for name in (*SHARED, "rate", "link_domain")},
        "params_file": value["encode_params_file"],
        "input": "map",
        "map": MAP,
        "requests": "decode/output/requests",
    }


def receive_arguments(value: dict[str, str]) -> dict[str, str]:
    """Of receive.launch.py."""
    return {
        **{name: value[name] for name in (*SHARED, "link_domain")},
        "params_file": value["decode_params_file"],
        "latents": "encode/output/latents",
        "keep_after_restart": "false",  # a register that starts again begins another frame
    }
