# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `decode`: the receiver's end of a thin link.

ros2 launch kpconv_ros receive.launch.py latents:=/encode/output/latents
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
    "latents": ("/encode/output/latents", "topic of the link on which tiles come"),
    "requests": ("~/output/requests", "topic of the link on which missing tiles are asked for"),
    "map": ("~/output/map", "PointCloud2 topic of the rebuilt map"),
    "link_domain": ("70", "DDS domain of the link; -1: that of the node, which costs seconds of a thin link"),
    "keep_after_restart": ("", "what came stays when the sender starts again; false where its frame begins anew then; "
                           "empty: as in params_file"),
    "namespace": ("", "namespace of the node"),
    "params_file": (str(SHARE / "config" / "decode.yaml"), "parameter file of the node decode"),
    "profile": (str(SHARE / "config" / "fastdds_link.xml"), "Fast DDS profile, unless the environment names one"),
    "viewer": ("false", "also start the live view in the browser, on http://localhost:9090"),
    "viewer_params_file": (str(SHARE / "config" / "view.yaml"), "parameter file of the node view"),
    "autostart": ("true", "configure and activate at start; false leaves that to a lifecycle manager"),
    "use_sim_time": ("false", "take the time from /clock"),
    "log_level": ("info", "debug, info, warn or error"),
}  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the node is made when their values are known."""
    return LaunchDescription([*declare_arguments(ARGUMENTS), OpaqueFunction(function=make_nodes)])


def make_nodes(context: LaunchContext) -> list:
    """The node, the profile of the link in its environment, and the live view if asked for."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {"link_domain": int(value["link_domain"]), "autostart": as_bool(value["autostart"])}
    if value["keep_after_restart"]:
        parameters["keep_after_restart"] = as_bool(value["keep_after_restart"])
    names = {"~/input/latents": "latents", "~/output/requests": "requests", "~/output/map": "map"}
    node = LifecycleNode(
        package="kpconv_ros",
        executable="decode",
        name="decode",
        namespace=value["namespace"],
        parameters=[value["params_file"], parameters, {"use_sim_time": as_bool(value["use_sim_time"])}],
        remappings=[(topic, value[name]) for topic, name in names.items() if value[name] != topic],
        ros_arguments=["--log-level", value["log_level"]],
        output="screen",
        emulate_tty=True,
    )
    shown = viewer(value, received=value["map"].replace("~", "decode"))
    return [*fastdds_profile(SHARE, Path(value["profile"])), node, *shown]
