# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros score-odometry``: a recording, or the simulator, through the live register node; its poses judged."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from kpconv_ros.evaluation.live_run import LiveRunConfig, record_live_run, ros_parameters
from kpconv_ros.evaluation.run_report import write_report
from kpconv_ros.evaluation.trajectory import format_trajectory_report, load_trajectory, report_trajectory
from kpconv_ros.evaluation.trajectory_picture import draw_trajectory

SAMPLED_TOPIC = "register/output/sampled"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("bag", type=Path, nargs="?", help="bag with clouds and true odometry, or KITTI-layout folder")
    parser.add_argument("--sequence", default="", help="sequence of a KITTI-layout folder, such as 00")
    parser.add_argument("--simulate", type=float, metavar="SECONDS", help="the simulated lidar instead of a recording")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulated street")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="speed, 1 = as recorded; 0: each scan waits for its pose"
    )
    parser.add_argument(
        "-p", "--param", action="append", default=[], metavar="NAME:=VALUE", help="of the register node"
    )
    parser.add_argument("--out", type=Path, default=Path("out/score_odometry"), help="folder for report, picture, logs")


def run(args: argparse.Namespace) -> int:
    """Play and score; 0 if every scan was given a pose.

    Raises:
        FileNotFoundError: If there is no such recording.
        LiveRunError: If a node died.
        RecordError: If nothing was given a pose.
    """
    name, source, source_arguments = _source_of(args)
    config = LiveRunConfig(
        folder=args.out,
        source=source,
        source_arguments=source_arguments,
        node="register",
        node_arguments=register_arguments(args.param),
        recorder="record_odometry",
        duration=args.simulate,
    )
    trajectory = load_trajectory(record_live_run(config))
    report = {"source": name, **report_trajectory(trajectory)}
    write_report(report, args.out / "report.json")
    print(format_trajectory_report(report, f"register on {name}"))
    picture = draw_trajectory(trajectory, args.out / "trajectory.png", _title_of(report))
    print(f"written: {args.out / 'report.json'}, {picture}")
    return 0 if report["placed"] == report["scans"] else 1


def register_arguments(parameters: list[str]) -> tuple[str, ...]:
    """Arguments of the register node: the topic of the sources, and what the user sets."""
    arguments = ("-r", "~/input/points:=/lidar/points", *ros_parameters(input_reliability="reliable"))
    return arguments + tuple(word for parameter in parameters for word in ("-p", parameter))


def _source_of(args: argparse.Namespace) -> tuple[str, str, tuple[str, ...]]:
    """Name of the source for people, the node, and its arguments."""
    if args.simulate is not None:
        arguments = ros_parameters(seed=int(args.seed), motion_distortion=True)
        return f"the simulated street {args.seed}", "simulate", arguments
    if args.bag is None or not args.bag.exists():
        raise FileNotFoundError(2, "no such recording (or give --simulate SECONDS)", str(args.bag or ""))
    speed: dict[str, str | float] = (
        {"mode": "rate", "rate": float(args.rate)}
        if args.rate > 0
        else {"mode": "lockstep", "ack_topic": SAMPLED_TOPIC}
    )
    name = f"{args.bag.name} {args.sequence}".strip()
    return (
        name,
        "replay",
        ros_parameters(
            path=str(args.bag.resolve()),
            sequence=args.sequence,
            consumers=2,  # the register node and the recorder
            **speed,
        ),
    )


def _title_of(report: dict[str, Any]) -> str:
    points, error = report["points_registered"], report["final_error_m"]
    way = f"{report['scans']} scans, {report['way_m']:.0f} m"
    return f"{report['source']}: {way}, {points:.0f} points a scan, error at the end {error:.2f} m"
