# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `encode`: the robot's end of a thin link.

ros2 launch kpconv_ros transmit.launch.py map:=/segment/output/map rate:=64000.0
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from kpconv_ros.nodes.launching import as_bool, declare_arguments, fastdds_profile, viewer
from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory("kpconv_ros"))

ARGUMENTS = {
    "input": ("", "map: labelled clouds in the map frame; scans: labelled scans with poses; empty: as in params_file"),
    "map": ("/segment/output/map", "PointCloud2 topic of the map, with a field label"),
    "scans": ("/segment/output/labels", "PointCloud2 topic of the scans, with a field label"),
    "odometry": ("/odom", "Odometry topic of the scans, used where TF is not"),
    "latents": ("~/output/latents", "topic of the link on which tiles are sent"),
    "requests": ("/decode/output/requests", "topic of the link on which the receiver asks"),
    "rate": ("", "hard cap of what is sent, headers included [bit/s]; empty: as in params_file"),
    "link_domain": ("70", "DDS domain of the link; -1: that of the node, which costs seconds of a thin link"),
    "namespace": ("", "namespace of the node"),
    "params_file": (str(SHARE / "config" / "encode.yaml"), "parameter file of the node encode"),
    "profile": (str(SHARE / "config" / "fastdds_link.xml"), "Fast DDS profile, unless the environment names one"),
    "pose_source": ("", "auto, tf, odometry or none; empty: as in params_file"),
    "viewer": ("false", "also start the live view in the browser, on http://localhost:9090"),
    "viewer_params_file": (str(SHARE / "config" / "view.yaml"), "parameter file of the node view"),
    "autostart": ("true", "configure and activate at start; false leaves that to a lifecycle manager"),
    "use_sim_time": ("false", "take the time from /clock"),
    "log_level": ("info", "debug, info, warn or error"),
}
PASSED_ON = ("input", "pose_source")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the node is made when their values are known."""
    return LaunchDescription([*declare_arguments(ARGUMENTS), OpaqueFunction(function=make_nodes)])


def make_nodes(context: LaunchContext) -> list:
    """The node, the profile of the link in its environment, and the live view if asked for."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {name: value[name] for name in PASSED_ON if value[name]}
    parameters.update({"link_domain": int(value["link_domain"]), "autostart": as_bool(value["autostart"])})
    if value["rate"]:
        parameters["rate"] = float(value["rate"])
    names = {
        "~/input/map": "map",
        "~/input/points": "scans",
        "~/input/odometry": "odometry",
        "~/input/requests": "requests",
        "~/output/latents": "latents",
    }
    node = LifecycleNode(
        package="kpconv_ros",
        executable="encode",
        name="encode",
        namespace=value["namespace"],
        parameters=[value["params_file"], parameters, {"use_sim_time": as_bool(value["use_sim_time"])}],
        remappings=[(topic, value[name]) for topic, name in names.items() if value[name] != topic],
        ros_arguments=["--log-level", value["log_level"]],
        output="screen",
        emulate_tty=True,
    )
    shown = viewer(value, map=value["map"], labels=value["scans"], odometry=value["odometry"])
    return [*fastdds_profile(SHARE, Path(value["profile"])), node, *shown]
