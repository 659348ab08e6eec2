# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros view``: the running nodes, live in a browser."""

from __future__ import annotations

import argparse
import sys

from kpconv_ros.nodes.view_topics import TOPICS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``kpconv-ros view``."""
    known = ", ".join(f"{name} ({topic})" for name, topic in TOPICS.items())
    parser.add_argument(
        "--topic", action="append", default=[], metavar="NAME:=TOPIC", help=f"take it from another topic: {known}"
    )
    parser.add_argument("--address", help="address to serve on; 0.0.0.0: other machines may look on too")
    parser.add_argument("--port", type=int, help="port of the page (9090); the next two are taken as well")
    parser.add_argument("--no-browser", action="store_true", help="only serve the page, do not open it")
    parser.add_argument("--save", metavar="FILE.rrd", help="also write what is shown, to be played by `rerun FILE.rrd`")
    parser.add_argument("--params-file", action="append", default=[], metavar="YAML", help="ROS parameter file")
    parser.add_argument("-p", "--param", action="append", default=[], metavar="NAME:=VALUE", help="one parameter")


def run(args: argparse.Namespace) -> int:
    """Show the nodes until interrupted; returns the exit status."""
    from kpconv_ros.nodes.view_node import main

    return main(ros_arguments(args))


def ros_arguments(args: argparse.Namespace) -> list[str]:
    """The ``--ros-args`` command line that says the same."""
    words = ["--ros-args"]
    for path in args.params_file:
        words += ["--params-file", path]
    parameters = {"address": args.address, "port": args.port, "save": args.save, "open_browser": not args.no_browser}
    for name, value in parameters.items():
        if value is not None:
            words += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
    for text in args.param:
        words += ["-p", text]
    for text in args.topic:
        name, separator, topic = text.partition(":=")
        if name not in TOPICS or not separator or not topic:
            sys.exit(f"error: --topic {text}: expected NAME:=TOPIC with one of {', '.join(TOPICS)}")
        words += ["-r", f"{TOPICS[name]}:={topic}"]
    return words
