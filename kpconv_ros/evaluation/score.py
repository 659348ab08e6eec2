# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros score``: a labelled recording played through the live node, its labels judged as they were published."""

from __future__ import annotations

import argparse
from pathlib import Path

from kpconv_ros.checkpoint import load_manifest
from kpconv_ros.evaluation.demo import report_run, segment_arguments
from kpconv_ros.evaluation.live_run import LiveRunConfig, record_live_run, ros_parameters

PATIENT_BUDGET = 2.0  # s
PATIENT_RANGE = 80.0  # m


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("bag", type=Path, help="bag with clouds, ground truth and odometry, or a KITTI-layout folder")
    parser.add_argument("--sequence", default="", help="sequence of a KITTI-layout folder, such as 00")
    parser.add_argument("--model", default="semantickitti", help="name or folder of a model of the bag's classes")
    parser.add_argument("--rate", type=float, default=0.0, help="speed, 1 = as recorded; 0: each scan waits for labels")
    parser.add_argument(
        "--time-budget",
        type=float,
        help=f"seconds the node takes for a scan; as at a robot if a rate is given, else {PATIENT_BUDGET:g}",
    )
    parser.add_argument("--sensor-height", type=float, default=1.73, help="of the recording, metres above the ground")
    parser.add_argument("--out", type=Path, default=Path("out/score"), help="folder for report, pictures and logs")
    parser.add_argument("--device", default="auto", help="where the network runs: auto, cpu or cuda")


def run(args: argparse.Namespace) -> int:
    """Play and score a recording; 0 if scans were labelled.

    Raises:
        FileNotFoundError: If there is no such recording.
        CheckpointError: If the model cannot be used.
        LiveRunError: If a node died.
        RecordError: If what was recorded does not fit the model.
    """
    if not args.bag.exists():
        raise FileNotFoundError(2, "no such recording", str(args.bag))
    manifest = load_manifest(args.model)
    config = LiveRunConfig(
        folder=args.out,
        source="replay",
        source_arguments=replay_arguments(args.bag, args.sequence, args.rate),
        node_arguments=segment_arguments(args.model, args.device, args.sensor_height)
        + budget_arguments(args.time_budget, args.rate),
    )
    record_path = record_live_run(config)
    return report_run(record_path, manifest, args.out, f"{manifest.name} on {args.bag.name}", "publication")


def budget_arguments(time_budget: float | None, rate: float) -> tuple[str, ...]:
    """Parameters of the segmentation node: in lock-step nothing hurries it, so that it labels as far as points go."""
    if time_budget is None and rate > 0:
        return ()
    budget = PATIENT_BUDGET if time_budget is None else time_budget
    return ros_parameters(time_budget=float(budget), **({} if rate > 0 else {"segment_range": PATIENT_RANGE}))


def replay_arguments(bag: Path, sequence: str, rate: float) -> tuple[str, ...]:
    """Arguments of the replay node: lock-step for rate 0, else at that multiple of the recorded speed."""
    speed: dict[str, str | float] = (
        {"mode": "rate", "rate": float(rate)} if rate > 0 else {"mode": "lockstep", "ack_topic": "record/answers"}
    )
    return ros_parameters(path=str(bag.resolve()), sequence=sequence, **speed)
