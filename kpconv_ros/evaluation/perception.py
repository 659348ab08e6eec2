# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros perception``: the whole system live, as ``perception.launch.py`` starts it, judged by what came of it.

The nodes register, segment, encode and decode run as processes over DDS. The scans are those of a bag, or of the
simulator: then they are written as a bag first, so that they can be judged, and tried again with other settings.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from kpconv_ros.checkpoint import load_manifest
from kpconv_ros.data.recordings import open_recording
from kpconv_ros.data.simulated_bag import write_simulated_bag
from kpconv_ros.data.simulator import SIM_CLASSES, Simulator, SimulatorConfig
from kpconv_ros.evaluation.demo import check_classes
from kpconv_ros.evaluation.map_pictures import MapView, draw_maps_from_above
from kpconv_ros.evaluation.replay.command import EXIT_PARTLY, write_files
from kpconv_ros.evaluation.replay.live import run_live
from kpconv_ros.evaluation.replay.options import PARTS, EvaluateOptions, parameters_of
from kpconv_ros.evaluation.replay.result import RunResult
from kpconv_ros.evaluation.report.build import build_report
from kpconv_ros.evaluation.report.text import format_report

BAG = "simulated_bag"
MODELS = {True: "street_sim", False: "semantickitti"}
"""By whether the scans are simulated."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add("--bag", type=Path, help="bag, or KITTI-layout folder; without one, the simulated lidar")
    add("--sequence", default="", help="sequence of a KITTI-layout folder, such as 00")
    add("--speed", type=float, default=1.0, help="multiple of the recorded speed")
    add("--duration", type=float, default=20.0, help="of the simulated drive, seconds")
    add("--seed", type=int, default=0, help="of the simulated street")
    add("--azimuth-steps", type=int, default=SimulatorConfig.azimuth_steps, help="of the simulated lidar, a turn")
    add("--model", help=f"model of the segmentation; {MODELS[True]} for the simulator, {MODELS[False]} for a bag")
    add("--device", default="auto", help="where the network runs: auto, cpu or cuda")
    add("--rate", type=float, default=64000.0, help="cap of the link, headers included [bit/s]")
    add(
        "--moving", default="", metavar="CLASS,...", help="classes that are neither in the map nor in ~/output/filtered"
    )
    for name, node in (("segment", "segment"), ("register", "register"), ("transmit", "encode")):
        add(f"--{name}", action="append", default=[], metavar="NAME:=VALUE", help=f"parameter of {node}")
    add("--tail", type=float, default=EvaluateOptions.tail, help="how long the link goes on after the last scan [s]")
    add("--out", type=Path, default=Path("out/perception"), help="folder for report.json, report.html, pictures, logs")


def run(args: argparse.Namespace) -> int:
    """Run the nodes and judge them; 0 if every scan could be judged, else 1.

    Raises:
        FileNotFoundError: If there is no such bag.
        CheckpointError: If the model cannot be used.
        RecordError: If the model does not know the simulator's classes.
        LiveRunError: If a node died.
    """
    model = args.model or MODELS[args.bag is None]
    if args.bag is None:
        check_classes(load_manifest(model), SIM_CLASSES, "the simulator")
    options = options_of(args, model, args.bag or simulate_drive(args))
    recording = open_recording(options.bag, options.sequence)
    result = run_live(recording, options)
    report = build_report(result, recording, options)
    written = [*write_files(report, result, options), *draw_whole(result, report, options.out)]
    print(format_report(report))
    print("written: " + ", ".join(str(path) for path in written))
    return EXIT_PARTLY if report["problems"] else 0


def simulate_drive(args: argparse.Namespace) -> Path:
    """Write the simulated drive below the output folder; one that is there is written anew."""
    simulator = Simulator(SimulatorConfig(azimuth_steps=args.azimuth_steps, motion_distortion=True), args.seed)
    num_scans = max(1, round(args.duration * simulator.config.rate))
    path: Path = args.out / BAG
    shutil.rmtree(path, ignore_errors=True)
    args.out.mkdir(parents=True, exist_ok=True)
    print(f"simulating {num_scans} scans of street {args.seed}: {path}", flush=True)
    write_simulated_bag(path, simulator, num_scans)
    return path


def options_of(args: argparse.Namespace, model: str, bag: Path) -> EvaluateOptions:
    """What is run: all parts, placed by the registration.

    Raises:
        FileNotFoundError: If there is no such bag.
        EvaluationError: If an argument is wrong.
    """
    if not bag.exists():
        raise FileNotFoundError(2, "no such recording", str(bag))
    segment = parameters_of(args.segment)
    if args.bag is None:
        segment.setdefault("sensor_height", str(SimulatorConfig.sensor_height))
    if args.moving:
        moving = "[" + ", ".join(f"'{name}'" for name in args.moving.split(",")) + "]"
        segment.update(classes_removed=moving, map_classes_removed=moving)
    return EvaluateOptions(
        bag=bag,
        sequence=args.sequence,
        mode="live",
        parts=PARTS,
        poses="register",
        model=model,
        device=args.device,
        segment=segment,
        register={"publish_held": "false", **parameters_of(args.register)},
        transmit={"rate": str(float(args.rate)), **parameters_of(args.transmit)},
        tail=args.tail,
        speed=args.speed,
        out=args.out,
    )


def draw_whole(result: RunResult, report: dict[str, Any], folder: Path) -> list[Path]:
    """Draw the voted map beside the decoded one, with the way of the sensor; nothing where one of them is empty."""
    segmentation, transmission = result.segmentation, result.transmission
    if segmentation is None or transmission is None or segmentation.map is None or not transmission.has_both_ends:
        return []
    voted = MapView(segmentation.map.points, segmentation.map.labels, "voted map on the robot")
    decoded = MapView(*transmission.received_map(), "decoded map at the other end")
    way = np.array(report["registration"]["positions_m"]).reshape(-1, 3)
    return [draw_maps_from_above([voted, decoded], segmentation.manifest, way, folder / "perception.png")]
