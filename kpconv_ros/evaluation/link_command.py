# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros test link``: a map over 64 kbit/s while the robot drives, with losses, a cut, late and dying nodes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kpconv_ros.data.semantic_kitti import KittiSequence
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.evaluation.link_report import ALLOWED, line_of, report_of, table_of, write_between_marks
from kpconv_ros.evaluation.link_run import Incident, Source, carry_clouds, drive
from kpconv_ros.evaluation.link_truth import PassedTile, PlacedScan, passed_tiles
from kpconv_ros.evaluation.live_run import ros_parameters
from kpconv_ros.evaluation.thin_link import check_can_link
from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.pipelines.map_encoder import MapEncoderConfig

EXIT_TERMINATED = 143
SPEED = 10.0  # m/s
SCAN_RATE = 5.0  # Hz
RUN_UP = 5.0  # s of driving that do not count, in which the nodes find the scans
CLOUDS_LENGTH = 200.0  # m of the street that the scans themselves are sent of
MAP_PERIOD = 1.0  # s between two maps, for an encoder that is fed with them
KITTI_RATE = 0.1  # of the recorded speed: ten scans in ten seconds


class Course(NamedTuple):
    """A drive and its truth."""

    source: Source
    tiles: list[PassedTile]
    scans: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--length", type=float, default=500.0, help="of the simulated street, metres (default 500)")
    parser.add_argument("--kitti", type=Path, help="also a folder with sequences/SS of a SemanticKITTI layout")
    parser.add_argument("--sequence", default="00", help="of it (default 00)")
    parser.add_argument("--rate", type=int, default=64000, help="of the link, bit/s each way (default 64000)")
    parser.add_argument("--only", nargs="+", help="runs to make, of clean loss cut late restart restart_map clouds")
    parser.add_argument("--seed", type=int, default=0, help="of the street")
    parser.add_argument("--cores", type=int, nargs="+", help="to which all processes are bound (default: all)")
    parser.add_argument("--out", type=Path, default=Path("out/link"), help="folder for logs and records")
    parser.add_argument("--results", type=Path, help="file of the figures (default: link.json there)")
    parser.add_argument("--page", type=Path, help="page whose table is written anew, docs/map_link.md")


def run(args: argparse.Namespace) -> int:
    """Drive, judge and print; 0 if no run was above the rate."""
    check_can_link()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))  # else the nodes would outlive the command
    if args.cores:
        os.sched_setaffinity(0, args.cores)
    reports = []
    for name, course, incidents in courses(args):
        for incident in incidents:
            if args.only and incident.name not in args.only:
                continue
            folder = args.out / f"{name}_{incident.name}"
            recorded = drive(course.source, incident, args.rate, folder.resolve(), 2 * ALLOWED)
            reports.append({"course": name, **report_of(recorded, course.tiles, course.scans, args.rate)})
            print(line_of(reports[-1]), flush=True)
    results = args.results or args.out / "link.json"
    clouds = clouds_before(results) if args.only and "clouds" not in args.only else compare_clouds(args)
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps({"runs": reports, "clouds": clouds}, indent=1) + "\n", encoding="utf-8")
    print(f"\n{table_of(reports)}\nwritten: {results}")
    if args.page:
        write_between_marks(args.page, table_of(reports))
    return int(any(not report["within_cap"] for report in reports))


def clouds_before(results: Path) -> list[dict[str, Any]]:
    """The rows of the scans themselves in an earlier file, if there is one."""
    return list(json.loads(results.read_text(encoding="utf-8"))["clouds"]) if results.exists() else []


def compare_clouds(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The scans themselves over the same link, along the same street."""
    rows = []
    num_scans = int((RUN_UP + min(args.length, CLOUDS_LENGTH) / SPEED) * SCAN_RATE)
    parameters = ros_parameters(ego_speed=SPEED, rate=SCAN_RATE, seed=args.seed)
    source = Source("simulate", parameters, num_scans / SCAN_RATE, num_scans, 1.0 / SCAN_RATE)
    for codec in ("raw", "draco"):
        for kind in ("best effort", "reliable", "paced"):
            folder = (args.out / f"clouds_{codec}_{kind.replace(' ', '_')}").resolve()
            arrived, link = carry_clouds(source, codec, kind, args.rate, folder)
            ages = [entry["age_s"] for entry in arrived]
            rows.append({
                "codec": codec,
                "sent": kind,
                "scans_sent": num_scans,
                "scans_arrived": len(arrived),
                "bytes_a_scan": int(np.median([entry["bytes"] for entry in arrived])) if arrived else None,
                "age_s": round(float(np.median(ages)), 2) if ages else None,
                "sent_bytes": link.samples[-1].sent[0],
            })  # fmt: skip
            print(f"{codec}, {kind}: {len(arrived)} of {num_scans} scans arrived {rows[-1]}", flush=True)
    return rows


def courses(args: argparse.Namespace) -> Iterator[tuple[str, Course, list[Incident]]]:
    """The drives, made when they are needed."""
    street = street_course(args.length, args.seed)
    half = street.source.duration / 2
    yield "street", street, [
        Incident("clean"),
        Incident("loss", loss=0.05),
        Incident("cut", cut=(half - 10.0, half + 10.0)),
        Incident("late", decoder_starts=half),
        Incident("restart", encoder_dies=half),
        Incident("restart_map", encoder_dies=half, encoder_input="map"),
    ]  # fmt: skip
    if args.kitti:
        real = kitti_course(args.kitti, args.sequence)
        yield f"kitti_{args.sequence}", real, [Incident("clean"), Incident("loss", loss=0.05)]


def street_course(length: float, seed: int) -> Course:
    """A drive through the simulated street, with the labels of the simulator."""
    config = SimulatorConfig(ego_speed=SPEED, rate=SCAN_RATE)
    duration = RUN_UP + length / SPEED
    num_scans = int(duration * SCAN_RATE)
    simulator = Simulator(config, seed)

    def scans() -> Iterator[PlacedScan]:
        for number in range(int(RUN_UP * SCAN_RATE), num_scans):
            scan = simulator.scan(number / SCAN_RATE)
            yield place(scan.points, scan.labels, scan.T_map_sensor)

    # The recorder listens to the odometry, and an encoder that is fed with scans.
    parameters = ros_parameters(ego_speed=SPEED, rate=SCAN_RATE, seed=seed, consumers=2)
    map_parameters = ros_parameters(ego_speed=SPEED, rate=SCAN_RATE, seed=seed, consumers=1, map_period=MAP_PERIOD)
    source = Source("simulate", parameters, duration, num_scans, 1.0 / SCAN_RATE, map_parameters)
    return Course(source, passed_tiles(scans(), at_end=False), num_scans)


def kitti_course(folder: Path, sequence: str) -> Course:
    """A drive along a real sequence, slower than it was recorded, with its poses and labels."""
    recorded = KittiSequence(folder, sequence)

    def scans() -> Iterator[PlacedScan]:
        for number in range(len(recorded)):
            scan = recorded.scan(number)
            assert scan.T_map_sensor is not None and scan.labels is not None
            yield place(scan.points, scan.labels, scan.T_map_sensor)

    parameters = ros_parameters(
        path=str(folder.resolve()), sequence=sequence, rate=KITTI_RATE, clock=False, patience=10.0
    )
    period = 0.1 / KITTI_RATE
    source = Source("replay", parameters, len(recorded) * period, len(recorded), period)
    return Course(source, passed_tiles(scans(), at_end=True), len(recorded))


def place(points: Any, labels: Any, T_map_sensor: Any) -> PlacedScan:
    """Lay a scan into the map, as far as the encoder keeps it."""
    placed = transform_points(T_map_sensor, points)
    position = T_map_sensor[:3, 3]
    near = np.square(placed[:, :2] - position[:2]).sum(axis=1) <= MapEncoderConfig().max_range ** 2
    return PlacedScan(placed[near], np.clip(labels[near], 0, 255).astype(np.uint8), position)
