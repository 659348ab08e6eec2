# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros test map-registration``: two halves of a sequence as two maps, turned and shifted at random."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.semantic_kitti import KittiError, KittiSequence
from kpconv_ros.evaluation.results_file import write_results
from kpconv_ros.geometry.se3 import invert, motion_of_twist, rotation_angle, transform_points
from kpconv_ros.pipelines.map_registration import MapRegistrar

Array = NDArray[Any]
MAX_RANGE = 60.0  # m; of the scans that make a map
MAX_SHIFT = 50.0  # m, along each axis
SUCCESS_M, SUCCESS_DEG = 0.3, 1.0


class HalfMap(NamedTuple):
    """Joined scans of half a sequence, in the frame of the sequence."""

    points: Array
    viewpoint: Array


class Trial(NamedTuple):
    """One registration and its errors."""

    sequence: str
    translation_m: float
    rotation_deg: float
    is_believed: bool
    overlap: float
    largest_tile_bytes: int
    encode_ms: float
    register_ms: float

    @property
    def succeeded(self) -> bool:
        """Whether both errors are small enough."""
        return self.translation_m < SUCCESS_M and self.rotation_deg < SUCCESS_DEG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("kitti", type=Path, help="folder with sequences/SS of a SemanticKITTI layout, with poses")
    parser.add_argument("--sequences", nargs="+", help="sequences to take; by default all that have poses")
    parser.add_argument("--trials", type=int, default=100, help="trials, in turn over the sequences (default 100)")
    parser.add_argument(
        "--scans", type=int, default=10, help="scans of a sequence, halved between the maps (default 10)"
    )
    parser.add_argument("--other", type=int, default=20, help="pairs of maps of different places, to be refused")
    parser.add_argument("--seed", type=int, default=0, help="of the random motions")
    parser.add_argument("--results", type=Path, help="JSON file whose key 'map_to_map' is written")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    names = args.sequences or sorted(path.name for path in (args.kitti / "sequences").iterdir())
    halves = {name: found for name in names if (found := make_halves(KittiSequence(args.kitti, name), args.scans))}
    if not halves:
        raise KittiError(f"{args.kitti}: expected sequences with poses.txt, got none")
    generator, trials = np.random.default_rng(args.seed), []
    for number in range(args.trials):
        name = list(halves)[number % len(halves)]
        trials.append(try_once(name, *halves[name], generator))
        print(f"{number + 1:4}  {describe(trials[-1])}", flush=True)
    summary = summarise(trials) | try_other_places(halves, args.other, generator)
    print(json.dumps(summary, indent=1))
    if args.results:
        write_results(args.results, {"map_to_map": summary})
    return 0


def make_halves(sequence: KittiSequence, num_scans: int) -> tuple[HalfMap, HalfMap] | None:
    """Join the first and the second half of the scans; None without poses."""
    if sequence.poses is None:
        return None
    count = min(num_scans, len(sequence))
    return join_scans(sequence, range(count // 2)), join_scans(sequence, range(count // 2, count))


def join_scans(sequence: KittiSequence, indices: range) -> HalfMap:
    """Lay scans into the frame of the sequence."""
    scans = [sequence.scan(index) for index in indices]
    clouds = []
    for scan in scans:
        assert scan.T_map_sensor is not None
        near = np.linalg.norm(scan.points, axis=1) < MAX_RANGE
        clouds.append(transform_points(scan.T_map_sensor, scan.points[near]))
    last = scans[-1].T_map_sensor
    assert last is not None
    return HalfMap(np.concatenate(clouds), last[:3, 3])


def draw_motion(generator: np.random.Generator) -> Array:
    """Draw a rotation about any axis by any angle, and a shift."""
    axis = generator.normal(size=3)
    twist = np.concatenate([np.zeros(3), axis / np.linalg.norm(axis) * generator.uniform(0.0, np.pi)])
    motion = motion_of_twist(twist)
    motion[:3, 3] = generator.uniform(-MAX_SHIFT, MAX_SHIFT, 3)
    return motion


def try_once(name: str, target: HalfMap, source: HalfMap, generator: np.random.Generator) -> Trial:
    """Move both halves at random, encode them, and register the bytes."""
    registrar = MapRegistrar()
    motions = [draw_motion(generator) for _ in range(2)]
    started = time.perf_counter()
    tiles = [
        registrar.encode(transform_points(motion, half.points), transform_points(motion, half.viewpoint[None])[0])
        for motion, half in zip(motions, (target, source), strict=True)
    ]
    encode_ms = 1e3 * (time.perf_counter() - started) / 2
    result = registrar.register(source=tiles[1], target=tiles[0])
    truth = motions[0] @ invert(motions[1])
    place = transform_points(motions[1], source.viewpoint[None])  # errors are told where the sensor was
    apart = transform_points(result.found.T_target_source, place) - transform_points(truth, place)
    return Trial(
        sequence=name,
        translation_m=float(np.linalg.norm(apart)),
        rotation_deg=float(np.degrees(rotation_angle(invert(truth) @ result.found.T_target_source))),
        is_believed=result.found.is_believed,
        overlap=result.found.overlap,
        largest_tile_bytes=max(map(len, tiles)),
        encode_ms=encode_ms,
        register_ms=result.total_ms,
    )


def try_other_places(
    halves: dict[str, tuple[HalfMap, HalfMap]], count: int, generator: np.random.Generator
) -> dict[str, int]:
    """Register maps of different sequences, and count which were wrongly believed."""
    registrar, names = MapRegistrar(), list(halves)
    count = count if len(names) > 1 else 0
    tiles = {name: registrar.encode(*half) for name, (half, _) in halves.items()} if count else {}
    believed = 0
    for _ in range(count):
        source, target = generator.choice(names, 2, replace=False)
        believed += registrar.register(tiles[source], tiles[target]).found.is_believed
    return {"other_places": count, "other_places_believed": int(believed)}


def describe(trial: Trial) -> str:
    """Return a line about a trial."""
    state = "ok  " if trial.succeeded else "FAIL"
    belief = "believed" if trial.is_believed else "not believed"
    errors = f"{trial.translation_m:8.3f} m {trial.rotation_deg:8.3f} deg"
    return (
        f"{trial.sequence}  {state} {errors}  overlap {trial.overlap:.2f} ({belief})  {trial.largest_tile_bytes} bytes"
    )


def summarise(trials: list[Trial]) -> dict[str, Any]:
    """Count successes and average."""
    return {
        "trials": len(trials),
        "successes": sum(trial.succeeded for trial in trials),
        "wrong_but_believed": sum(trial.is_believed and not trial.succeeded for trial in trials),
        "success_means": f"below {SUCCESS_M} m and {SUCCESS_DEG} deg",
        "median_translation_m": round(float(np.median([trial.translation_m for trial in trials])), 4),
        "median_rotation_deg": round(float(np.median([trial.rotation_deg for trial in trials])), 4),
        "largest_tile_bytes": max(trial.largest_tile_bytes for trial in trials),
        "encode_ms": round(float(np.median([trial.encode_ms for trial in trials])), 1),
        "register_ms": round(float(np.median([trial.register_ms for trial in trials])), 1),
    }
