# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros run NODE``: start a node with parameters and remaps, where the ``ros2`` commands are absent."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

NODES = (
    *("segment", "register", "encode", "decode", "simulate", "replay", "view"),
    *("record", "record_odometry", "record_map", "record_outputs", "carry_clouds"),
)
FASTDDS_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # Kilted; Humble and Jazzy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``kpconv-ros run``."""
    parser.add_argument("node", choices=NODES, help="node to start")
    parser.add_argument("--params-file", action="append", default=[], metavar="YAML", help="ROS parameter file")
    parser.add_argument("-p", "--param", action="append", default=[], metavar="NAME:=VALUE", help="one parameter")
    parser.add_argument("-r", "--remap", action="append", default=[], metavar="FROM:=TO", help="remap a topic or name")
    parser.add_argument("--log-level", default=None, help="debug, info, warn or error")


def run(args: argparse.Namespace) -> int:
    """Start the node in this process; returns its exit status."""
    use_large_messages()
    module = importlib.import_module(f"kpconv_ros.nodes.{args.node}_node")
    return int(module.main(ros_arguments(args)))


def ros_arguments(args: argparse.Namespace) -> list[str]:
    """The ``--ros-args`` command line that says the same."""
    arguments = ["--ros-args"]
    for flag, values in (("--params-file", args.params_file), ("-p", args.param), ("-r", args.remap)):
        for value in values:
            if flag != "--params-file" and ":=" not in value:
                sys.exit(f"error: {flag} {value}: expected NAME:=VALUE")
            arguments += [flag, value]
    if args.log_level:
        arguments += ["--log-level", args.log_level]
    return arguments


def use_large_messages() -> None:
    """Give Fast DDS room for big clouds (see config/fastdds.xml), unless the user has chosen a profile."""
    profile = find_share("config/fastdds.xml")
    if profile is not None and not any(name in os.environ for name in FASTDDS_VARIABLES):
        os.environ.update(dict.fromkeys(FASTDDS_VARIABLES, str(profile)))


def find_share(name: str) -> Path | None:
    """A file of the package's share folder, installed or in the source tree; None when there is none."""
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    source = Path(__file__).resolve().parents[2] / name
    try:
        installed = Path(get_package_share_directory("kpconv_ros")) / name
    except PackageNotFoundError:
        return source if source.is_file() else None
    return installed if installed.is_file() else (source if source.is_file() else None)
