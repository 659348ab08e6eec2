# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kpconv_ros.nodes.run import FASTDDS_VARIABLES
from kpconv_ros.nodes.view_topics import TOPICS

EVALUATE_ARGUMENTS = (
    *("sequence", "mode", "parts", "model", "device", "poses", "extrinsic"),
    *("points_topic", "ground_truth_topic", "odometry_topic", "start", "duration", "stride", "out"),
)
"""Launch arguments that ``kpconv-ros evaluate`` has too."""


def declare_arguments(arguments: dict[str, tuple[str, str]]) -> list[Any]:
    """Launch arguments from a table of names, defaults and descriptions."""
    from launch.actions import DeclareLaunchArgument

    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in arguments.items()
    ]


def viewer(value: dict[str, str], **topics: str) -> list[Any]:
    """The node ``view``, if the launch argument ``viewer`` asks for it.

    Args:
        value: Launch arguments: ``viewer``, ``viewer_params_file``, ``use_sim_time``, perhaps ``namespace``.
        topics: What it shows, by the short names of `view_topics.TOPICS`, where that has another topic than there.

    Raises:
        KeyError: If a short name is unknown.
    """
    if not as_bool(value["viewer"]):
        return []
    from launch_ros.actions import Node

    node = Node(
        package="kpconv_ros",
        executable="view",
        name="view",
        namespace=value.get("namespace", ""),
        parameters=[value["viewer_params_file"], {"use_sim_time": as_bool(value["use_sim_time"])}],
        remappings=viewer_remappings(topics),
        output="screen",
        emulate_tty=True,
    )
    return [node]


def viewer_remappings(topics: dict[str, str]) -> list[tuple[str, str]]:
    """The remaps that have the node ``view`` show ``topics``, which go by their short names."""
    return [(TOPICS[name], topic) for name, topic in topics.items() if topic != TOPICS[name]]


def fastdds_profile(share: Path, profile: Path | None = None) -> list[Any]:
    """Set ``profile``, by default room for big clouds in Fast DDS' shared memory, unless the user has chosen one."""
    from launch.actions import SetEnvironmentVariable

    if any(name in os.environ for name in FASTDDS_VARIABLES):
        return []
    return [
        SetEnvironmentVariable(name, str(profile or share / "config" / "fastdds.xml")) for name in FASTDDS_VARIABLES
    ]


def replay_parameters(value: dict[str, str]) -> dict[str, object]:
    """The parameters of the node replay; it publishes /clock where the others listen to it."""
    return {
        "path": value["bag"],
        "sequence": value["bag_sequence"],
        "rate": float(value["bag_rate"]),
        "clock": as_bool(value["use_sim_time"]),
    }


def evaluate_arguments(value: dict[str, str]) -> list[str]:
    """The words of ``kpconv-ros evaluate`` that say what launch arguments do; those left empty are left out.

    Raises:
        ValueError: If there is no bag.
    """
    if not value["bag"]:
        raise ValueError("bag: got nothing, expected a bag or a KITTI-layout folder")
    words = [value["bag"]]
    for name in EVALUATE_ARGUMENTS:
        if value[name]:
            words += [f"--{name.replace('_', '-')}", *(value[name].split() if name == "extrinsic" else [value[name]])]
    return words


def extrinsic_parameters(text: str) -> dict[str, object]:
    """The parameters of an extrinsic 'x y z roll pitch yaw'; none of an empty one.

    Raises:
        ValueError: If it is not six numbers.
    """
    if not text:
        return {}
    numbers = [float(number) for number in text.split()]
    if len(numbers) != 6:
        raise ValueError(f"extrinsic: got {text!r}, expected 'x y z roll pitch yaw'")
    return {"extrinsic_xyz": numbers[:3], "extrinsic_rpy": numbers[3:]}


def removed_classes_parameters(text: str) -> dict[str, object]:
    """The parameters that leave classes, named by commas, out of the filtered scans and of the map; none of none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return {"classes_removed": names, "map_classes_removed": names} if names else {}


def check_registration(registration: str, odometry: str) -> None:
    """Refuse a ring of nodes: labels wait for the pose of their scan, so no pose can wait for labels.

    Args:
        registration: ``raw``: register takes the scans as they come, and places them for segment; ``filtered``: it
            takes what segment leaves of them.
        odometry: Topic of another odometry that places the scans for segment.

    Raises:
        ValueError: If both would wait for each other, or the odometry would not be used.
    """
    if registration not in ("raw", "filtered"):
        raise ValueError(f"registration: got {registration!r}, expected raw or filtered")
    if (registration == "filtered") != bool(odometry):
        raise ValueError(
            f"odometry: got {odometry!r} with registration:={registration}; expected the topic of the robot's own "
            "odometry with filtered, since segment cannot wait for register then, and none with raw"
        )


def as_bool(text: str) -> bool:
    """Read a launch argument that is true or false.

    Raises:
        ValueError: If it is neither.
    """
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"got '{text}', expected true or false")
    return text.lower() in ("true", "1")
