# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros demo``: a simulated lidar segmented live for a minute, and a table, a report and two pictures of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from kpconv_ros.checkpoint import Manifest, load_manifest
from kpconv_ros.data.simulator import SIM_CLASSES, SimulatorConfig
from kpconv_ros.evaluation.live_run import LiveRunConfig, record_live_run, ros_parameters
from kpconv_ros.evaluation.run_report import (
    RecordError,
    build_report,
    draw_pictures,
    format_report,
    load_record,
    write_report,
)

DEFAULT_MODEL = "street_sim"
WARM_UP = 3.0  # [s] of scans that are not counted, in which the nodes find each other


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--duration", type=float, default=60.0, help="length of the run, seconds after the warm-up")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for report, pictures and logs")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a model of the simulator's classes")
    parser.add_argument("--rate", type=float, default=10.0, help="scans a second")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulated street")
    parser.add_argument("--device", default="auto", help="where the network runs: auto, cpu or cuda")


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 if scans were labelled.

    Raises:
        CheckpointError: If the model cannot be used.
        LiveRunError: If a node died.
        RecordError: If what was recorded does not fit the model.
    """
    manifest = load_manifest(args.model)
    check_classes(manifest, SIM_CLASSES, "the simulator")
    config = LiveRunConfig(
        folder=args.out,
        source="simulate",
        source_arguments=ros_parameters(rate=float(args.rate), seed=int(args.seed)),
        node_arguments=segment_arguments(args.model, args.device, SimulatorConfig.sensor_height),
        duration=args.duration,
        warm_up=WARM_UP,
    )
    print(f"live demo: simulate -> segment ({manifest.name}) -> record, {args.duration:g} s", flush=True)
    record_path = record_live_run(config)
    return report_run(record_path, manifest, args.out, f"live demo of {manifest.name}, {args.duration:g} s")


def segment_arguments(model: str, device: str, sensor_height: float, odometry: str = "/odom") -> tuple[str, ...]:
    """Arguments of the segmentation node: model, device, height of the sensor [m], and the topics of its inputs."""
    path = Path(model)
    model = str(path.resolve()) if path.is_dir() else model
    remaps = ("~/input/points:=/lidar/points", f"~/input/odometry:={odometry}")
    parameters = ros_parameters(model=model, device=device, input_reliability="reliable", sensor_height=sensor_height)
    return parameters + tuple(word for remap in remaps for word in ("-r", remap))


def check_classes(manifest: Manifest, classes: tuple[str, ...], source: str) -> None:
    """Raise `RecordError` unless the model's labels mean what the ground truth's do."""
    if tuple(manifest.classes) != tuple(classes):
        got, expected = ", ".join(manifest.classes), ", ".join(classes)
        raise RecordError(f"model {manifest.name!r} has the classes {got}; expected those of {source}: {expected}")


def report_run(record_path: Path, manifest: Manifest, folder: Path, title: str, latency_from: str = "stamp") -> int:
    """Print and write the report of a finished run and draw its pictures; 1 if nothing was labelled, else 0."""
    record = load_record(record_path)
    report = {"model": manifest.name, **build_report(record, manifest.classes, latency_from)}
    write_report(report, folder / "report.json")
    print(format_report(report, title))
    pictures = draw_pictures(record, manifest.classes, manifest.colors, folder)
    print("written: " + ", ".join(str(path) for path in [folder / "report.json", *pictures]))
    if not report["scans_labelled"]:
        print(f"no scan was labelled; the logs in {folder} say why")
        return 1
    return 0
