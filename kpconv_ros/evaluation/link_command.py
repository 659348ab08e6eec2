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
from kpconv_ros.evaluation.link_run import Incident, LinkRun, Source, carry_clouds, drive
from kpconv_ros.evaluation.link_truth import (
    COMPLETE,
    FINE,
    NEAR,
    PassedTile,
    PlacedScan,
    TileResult,
    judge_tiles,
    passed_tiles,
)
from kpconv_ros.evaluation.live_run import ros_parameters
from kpconv_ros.evaluation.thin_link import BURST_BYTES, Sample, check_can_link, most_in_a_second
from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.pipelines.map_encoder import MapEncoderConfig

MARKS = ("<!-- results: begin -->", "<!-- results: end -->")
EXIT_TERMINATED = 143
SPEED = 10.0  # m/s
SCAN_RATE = 5.0  # Hz
ALLOWED = 5.0  # s after passing
RUN_UP = 5.0  # s of driving that do not count, in which the nodes find the scans
CLOUDS_LENGTH = 200.0  # m of the street that the scans themselves are sent of
FLOWS = 5000  # bytes; more than discovery alone
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
    parser.add_argument("--only", nargs="+", help="runs to make, of clean loss cut late restart clouds")
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
            reports.append({"course": name, **report_of(recorded, course, args.rate)})
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


def write_between_marks(page: Path, text: str) -> None:
    """Write a text into a page in place of what stands between `MARKS`.

    Raises:
        ValueError: If the page has no such marks.
    """
    before, first, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    _, last, after = rest.partition(MARKS[1])
    if not (first and last):
        raise ValueError(f"{page}: got no lines {' and '.join(MARKS)}, expected both")
    page.write_text(f"{before}{first}\n\n{text}\n\n{last}{after}", encoding="utf-8")


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

    parameters = ros_parameters(ego_speed=SPEED, rate=SCAN_RATE, seed=seed, consumers=2)  # encoder and recorder
    source = Source("simulate", parameters, duration, num_scans, 1.0 / SCAN_RATE)
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


def report_of(run: LinkRun, course: Course, rate: int) -> dict[str, Any]:
    """The numbers of a run."""
    began = float(run.poses[0, 0])
    span = (run.started + run.incident.span[0], run.started + run.incident.span[1])
    if run.incident.encoder_dies is not None:
        span = (span[0], flows_again(run.samples, span[0]))
    elif run.incident.decoder_starts and len(run.versions["times"]):
        span = (span[0], float(run.versions["times"][0]))  # when it showed its first tile
    results = judge_tiles(course.tiles, run.poses, run.versions, span, began, ALLOWED)
    held_up = [result for result in results if result.is_held_up]
    free = [result for result in results if not result.is_held_up]
    windows = {f"most_bytes_in_{window:g}_s": [round(most_in_a_second(run.samples, end, window)) for end in (0, 1)]
               for window in (1.0, 5.0)}  # fmt: skip
    sent = [run.samples[-1].sent[end] for end in (0, 1)]
    return {
        "incident": run.incident.name,
        "scans": [len(run.poses), course.scans],
        "seconds": round(float(run.poses[-1, 0] - run.poses[0, 0]), 1),
        "metres": round(float(np.linalg.norm(run.poses[-1, 1:] - run.poses[0, 1:])), 1),
        "incident_s": [round(at - run.started, 1) for at in span],
        **judged(free),
        "held_up": judged(held_up),
        "cpu_s": {name: round(seconds, 1) for name, seconds in run.cpu.items()},
        "encoder": run.encoder,
        "sent_bytes": sent,
        "cores": len(os.sched_getaffinity(0)),
        "cap_bytes_a_second": rate // 8,
        **windows,
        "dropped_by_the_bucket": list(run.dropped),
        "within_cap": all(
            max(windows[f"most_bytes_in_{window}_s"]) * window <= rate / 8 * window + BURST_BYTES for window in (1, 5)
        ),  # fmt: skip
    }


def flows_again(samples: list[Sample], after: float) -> float:
    """When the robot's end had sent tiles again after it fell silent, seconds of the wall clock."""
    silent = [sample for sample in samples if sample.at > after + 1.0]  # what was in the queue has left
    for sample in silent:
        if sample.sent[0] - silent[0].sent[0] > FLOWS:
            return sample.at
    return silent[-1].at


def judged(results: list[TileResult]) -> dict[str, Any]:
    """What became of tiles: the allowed time after they were due, and at the end of the run."""
    if not results:
        return {"tiles": 0}
    points, shown, agreement, chamfer, at_end, shown_at_end, agreement_at_end = (
        np.array([getattr(result, name) for result in results])
        for name in (
            "num_points",
            "shown",
            "agreement",
            "chamfer",
            "chamfer_at_end",
            "shown_at_end",
            "agreement_at_end",
        )
    )
    delays = [result.delay for result in results]
    return {
        "tiles": len(results),
        "complete_in_time": round(float((chamfer <= COMPLETE).mean()), 3),
        "fine_in_time": round(float((shown >= FINE).mean()), 3),
        "absent": int(np.isinf(chamfer).sum()),
        "points_shown": round(float((shown * points).sum() / points.sum()), 4),
        "chamfer_m": distortions_of(chamfer),
        "delay_s": quantiles_of(delays),
        "label_agreement": mean_of(agreement, points * shown),
        "complete_at_the_end": round(float((at_end <= COMPLETE).mean()), 3),
        "fine_at_the_end": round(float((shown_at_end >= FINE).mean()), 3),
        "chamfer_at_the_end_m": distortions_of(at_end),
        "label_agreement_at_the_end": mean_of(agreement_at_end, points * shown_at_end),
    }


def mean_of(shares: Any, weights: Any) -> float:
    """Weighted mean of shares; 0 where all weights are."""
    return round(float(np.average(shares, weights=weights)), 3) if weights.any() else 0.0


def distortions_of(chamfer: Any) -> list[float | None]:
    """Median and 95 % of Chamfer distances, metres; None stands for infinite ones."""
    ordered = np.sort(chamfer)
    found = [float(ordered[int(share * (len(ordered) - 1))]) for share in (0.5, 0.95)]
    return [round(value, 3) if np.isfinite(value) else None for value in found]


def quantiles_of(delays: Any) -> list[float | None]:
    """Median, 90 % and 95 % of delays, seconds; None stands for infinite ones."""
    ordered = np.sort(delays)
    found = [float(ordered[int(share * (len(ordered) - 1))]) for share in (0.5, 0.9, 0.95)]
    return [round(delay, 1) if np.isfinite(delay) else None for delay in found]


def number_text(number: float | None) -> str:
    """A delay or distance in a table; None is one without end."""
    return "never" if number is None else f"{number}"


def line_of(report: dict[str, Any]) -> str:
    """One line about a run."""
    return (
        f"{report['course']} {report['incident']}: {report['complete_in_time']:.0%} of {report['tiles']} tiles "
        f"complete {ALLOWED:g} s after passing (Chamfer {COMPLETE} m), {report['fine_in_time']:.0%} fine "
        f"({FINE:.0%} of the points within {NEAR} m), median {number_text(report['chamfer_m'][0])} m, most in 1 s "
        f"{max(report['most_bytes_in_1_s'])} bytes; CPU seconds {report['cpu_s']}, {report['encoder']}"
    )


def table_of(reports: list[dict[str, Any]]) -> str:
    """A table of all runs; tiles that the incident held up have a row of their own."""
    columns = (
        *("run", "tiles", "complete in 5 s", "fine in 5 s", "points shown", "Chamfer, 95 % [m]", "labels, at the end"),
        *("delay 95 % [s]", "complete, fine at the end", "Chamfer then, 95 % [m]"),
    )
    rows = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for report in reports:
        for name, of in ((report["incident"], report), (f"{report['incident']}, held up", report["held_up"])):
            if of["tiles"]:
                rows.append(f"| {report['course']}, {name} | {row_of(of)} |")
    return "\n".join([*rows, "", *(rate_row(report) for report in reports)])


def row_of(judged_tiles: dict[str, Any]) -> str:
    """The cells of a row of tiles."""
    found = judged_tiles
    pairs = [", ".join(map(number_text, found[name])) for name in ("chamfer_m", "chamfer_at_the_end_m")]
    cells = (
        *(str(found["tiles"]), f"{found['complete_in_time']:.1%}", f"{found['fine_in_time']:.1%}"),
        *(f"{found['points_shown']:.1%}", pairs[0]),
        f"{found['label_agreement']:.1%}, {found['label_agreement_at_the_end']:.1%}",
        *(number_text(found["delay_s"][2]), f"{found['complete_at_the_end']:.1%}, {found['fine_at_the_end']:.1%}"),
        pairs[1],
    )
    return " | ".join(cells)


def rate_row(report: dict[str, Any]) -> str:
    """What a run sent and what it took, in a line."""
    levels = "; ".join(f"{name.replace('_', ' ')}: {text}" for name, text in report["encoder"].items())
    seconds = {name: round(taken / report["seconds"], 2) for name, taken in report["cpu_s"].items()}
    return (
        f"{report['course']}, {report['incident']}: most bytes a second over 1 s {report['most_bytes_in_1_s']}, over "
        f"5 s {report['most_bytes_in_5_s']}; CPU seconds a second {seconds}; {levels}"
    )
