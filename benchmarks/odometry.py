# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry of a few sampled points beside KISS-ICP and beside small_gicp on all points: drift and time per scan.

All three see each scan in turn, in one process, with as many threads. ``ours`` is ``Odometry.process``, sampler and map
included. ``KISS-ICP`` is its ``register_frame`` with its own defaults. ``small_gicp, all points`` registers every point
with the scan before, laid on 0.25 m voxels with normals, point to plane, from the last motion.

Drift is the distance of the last pose from that of the reference, by a start at the identity. The reference is
``poses.txt`` of a SemanticKITTI layout, exact poses of the simulator, or for scans without poses a chain of GICP
registrations of neighbouring scans at 0.1 m; the last drifts itself, by centimetres over tens of metres.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import small_gicp
import torch
from numpy.typing import NDArray

from benchmarks._inputs import FOLDER, load_drive
from benchmarks._measure import HEADER, Row, print_row, write_rows
from kpconv_ros.data.semantic_kitti import KittiSequence
from kpconv_ros.evaluation.results_file import write_results
from kpconv_ros.geometry.se3 import invert, rotation_angle
from kpconv_ros.pipelines.odometry import Odometry, OdometryConfig

Array = NDArray[Any]
SEEDS = (0, 1, 2)
"""Of the random sampler; drifts are means over them, times those of the first."""
PERIOD = 0.1  # s


class Drive(NamedTuple):
    """Scans and where they were taken."""

    name: str
    clouds: list[Array]
    poses: Array
    """T_first_scan of each scan, ``(S, 4, 4)``."""
    reference: str


class Method(NamedTuple):
    """One way to do odometry: from the points of a scan to its pose."""

    name: str
    step: Callable[[Array], Array]


def load_drives(kitti: str | None, stream: str | None) -> list[Drive]:
    """Read every sequence of a SemanticKITTI layout and a folder of scans without poses; without both, simulate."""
    drives = []
    if kitti:
        for folder in sorted((Path(kitti) / "sequences").iterdir()):
            sequence = KittiSequence(folder)
            if sequence.poses is not None:
                clouds = [sequence.scan(i).points for i in range(len(sequence))]
                drives.append(Drive(folder.name, clouds, invert(sequence.poses[0]) @ sequence.poses, "SuMa"))
    if stream:
        sequence = KittiSequence(Path(stream))
        clouds = [sequence.scan(i).points for i in range(len(sequence))]
        drives.append(Drive("stream", clouds, chain_poses(clouds), "GICP chain"))
    if not drives:
        scans = load_drive()
        poses = np.stack([invert(scans[0].T_map_sensor) @ scan.T_map_sensor for scan in scans])
        drives.append(Drive("simulator", [scan.points for scan in scans], poses, "exact"))
    return drives


def chain_poses(clouds: list[Array]) -> Array:
    """Register neighbouring scans finely, by GICP on 0.1 m voxels, and join the motions."""
    poses, motion, before = [np.eye(4)], np.eye(4), None
    for cloud in clouds:
        now = small_gicp.preprocess_points(cloud[np.linalg.norm(cloud, axis=1) < 80.0].astype(np.float64), 0.1, 20)
        if before is not None:
            for distance in (2.0, 0.3):
                motion = small_gicp.align(
                    before[0], now[0], before[1], motion, registration_type="GICP", max_iterations=50,
                    max_correspondence_distance=distance, rotation_epsilon=1e-5, translation_epsilon=1e-5,
                ).T_target_source  # fmt: skip
            poses.append(poses[-1] @ motion)
        before = now
    return np.stack(poses)


def ours(seed: int, threads: int, sampler: str = OdometryConfig().sampler) -> Method:
    """Return our odometry."""
    odometry = Odometry(replace(OdometryConfig(), seed=seed, num_threads=threads, sampler=sampler))
    stamps = iter(np.arange(1e6) * PERIOD)

    def step(points: Array) -> Array:
        return odometry.process(points, float(next(stamps))).T_odom_sensor

    return Method("ours", step)


def kiss_icp(threads: int) -> Method:
    """Return KISS-ICP with its defaults."""
    from kiss_icp.config.parser import load_config
    from kiss_icp.kiss_icp import KissICP

    config = load_config(None)
    config.registration.max_num_threads = threads
    odometry = KissICP(config)

    def step(points: Array) -> Array:
        odometry.register_frame(points.astype(np.float64), np.empty(0))
        return np.array(odometry.last_pose)

    return Method("KISS-ICP", step)


def all_points(threads: int) -> Method:
    """Return small_gicp, which registers all points with the scan before."""
    pose, motion, before = np.eye(4), np.eye(4), None

    def step(points: Array) -> Array:
        nonlocal pose, motion, before
        points = points.astype(np.float64)
        if before is not None:
            motion = small_gicp.align(
                before[0], small_gicp.PointCloud(points), before[1], motion, registration_type="PLANE_ICP",
                max_correspondence_distance=1.0, num_threads=threads,
            ).T_target_source  # fmt: skip
            pose = pose @ motion
        cloud = small_gicp.voxelgrid_sampling(points, 0.25, num_threads=threads)
        tree = small_gicp.KdTree(cloud, num_threads=threads)
        small_gicp.estimate_normals(cloud, tree, num_neighbors=10, num_threads=threads)
        before = (cloud, tree)
        return pose

    return Method("small_gicp, all points", step)


def follow(drive: Drive, methods: list[Method]) -> tuple[dict[str, float], dict[str, float]]:
    """Let all methods see each scan in turn; return mean milliseconds per scan (from the second on) and drifts."""
    times: dict[str, list[float]] = {method.name: [] for method in methods}
    last = {}
    for cloud in drive.clouds:
        for method in methods:
            started = time.perf_counter()
            last[method.name] = method.step(cloud)
            times[method.name].append(1e3 * (time.perf_counter() - started))
    drifts = {name: float(np.linalg.norm((invert(drive.poses[-1]) @ pose)[:3, 3])) for name, pose in last.items()}
    return {name: float(np.mean(values[1:])) for name, values in times.items()}, drifts


def measure(drive: Drive, threads: int) -> dict[str, Any]:
    """Measure one drive; return a row of the results."""
    ms, drifts = follow(drive, [ours(SEEDS[0], threads), kiss_icp(threads), all_points(threads)])
    ours_drifts = [drifts["ours"], *(follow(drive, [ours(seed, threads)])[1]["ours"] for seed in SEEDS[1:])]
    return {
        "sequence": drive.name,
        "scans": len(drive.clouds),
        "path_m": float(np.linalg.norm(np.diff(drive.poses[:, :3, 3], axis=0), axis=1).sum()),
        "turned_deg": float(np.degrees(rotation_angle(drive.poses[-1]))),
        "reference": drive.reference,
        "sampler": OdometryConfig().sampler,
        "points": OdometryConfig().num_points,
        "drift_m": float(np.mean(ours_drifts)),
        "drift_spread_m": float(np.ptp(ours_drifts)),
        "kiss_icp_drift_m": drifts["KISS-ICP"],
        "all_points_drift_m": drifts["small_gicp, all points"],
        "ms": ms["ours"],
        "kiss_icp_ms": ms["KISS-ICP"],
        "all_points_ms": ms["small_gicp, all points"],
    }


def compare_samplers(drives: list[Drive], names: list[str], threads: int) -> list[dict[str, Any]]:
    """Run our odometry with several samplers, which choose from the scan only: the map keeps all its points."""
    rows = []
    for name in names:
        ms, drifts = [], []
        for drive in drives:
            times, found = follow(drive, [ours(SEEDS[0], threads, name)])
            ms += [times["ours"]] * (len(drive.clouds) - 1)
            drifts.append(found["ours"])
        points = None if name == "none" else OdometryConfig().num_points
        row = {"sampler": name, "points": points, "mean_drift_m": float(np.mean(drifts)), "ms": float(np.mean(ms))}
        print(f"{name:14} mean drift {row['mean_drift_m']:.3f} m, {row['ms']:.1f} ms a scan", flush=True)
        rows.append(row)
    return rows


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the rows: drifts are summed over the sequences, times over all scans."""

    def total(key: str, weight: bool) -> float:
        return sum(row[key] * (row["scans"] - 1 if weight else 1) for row in rows)

    return {
        "drift_ratio_to_kiss_icp": total("drift_m", False) / total("kiss_icp_drift_m", False),
        "speedup_over_kiss_icp": total("kiss_icp_ms", True) / total("ms", True),
        "drift_ratio_to_all_points": total("drift_m", False) / total("all_points_drift_m", False),
        "speedup_over_all_points": total("all_points_ms", True) / total("ms", True),
        "threads": torch.get_num_threads(),
        "rows": rows,
    }


def to_bench_rows(row: dict[str, Any]) -> list[Row]:
    """Return a row of the results as rows of the benchmarks' table."""
    found = []
    for key, peer in (("kiss_icp", "KISS-ICP"), ("all_points", "small_gicp, all points")):
        note = f"drift over {row['path_m']:.1f} m: ours {row['drift_m']:.3f} m, peer {row[f'{key}_drift_m']:.3f} m"
        found.append(
            Row(
                name=f"odometry_{row['sequence']}",
                ours_ms=row["ms"],
                peer=peer,
                peer_ms=row[f"{key}_ms"],
                ratio=row[f"{key}_ms"] / row["ms"],
                ours_peak_mb=None,
                peer_peak_mb=None,
                ours_cpu_ms=None,
                peer_cpu_ms=None,
                cpu_ratio=None,
                rounds=row["scans"] - 1,
                allocator="default",
                threads=torch.get_num_threads(),
                input=row["reference"],
                note=note,
            )  # fmt: skip
        )
    return found


def rounded(value: Any) -> Any:
    """Round every number of nested values to four digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kitti", default=os.environ.get("KPCONV_KITTI"), help="folder with sequences/SS")
    parser.add_argument("--stream", default=os.environ.get("KPCONV_STREAM"), help="folder with velodyne/*.bin")
    parser.add_argument("--samplers", nargs="+", default=[], help="samplers of ours to compare as well")
    parser.add_argument("--results", type=Path, help="JSON file whose key 'odometry' is written")
    args = parser.parse_args()
    threads = torch.get_num_threads()
    drives = load_drives(args.kitti, args.stream)
    warm_up = drives[0]._replace(clouds=drives[0].clouds[:3], poses=drives[0].poses[:3])
    follow(warm_up, [ours(0, threads), kiss_icp(threads), all_points(threads)])
    print(HEADER)
    rows, bench_rows = [], []
    for drive in drives:
        rows.append(measure(drive, threads))
        for row in to_bench_rows(rows[-1]):
            print_row(row)
            print(f"  {row.note}", flush=True)
            bench_rows.append(row)
    write_rows("odometry", bench_rows)
    summary = rounded(summarise(rows) | {"samplers": compare_samplers(drives, args.samplers, threads)})
    for path in filter(None, (FOLDER / "registration.json", args.results)):
        write_results(path, {"odometry": summary})
    print({key: value for key, value in summary.items() if key not in ("rows", "samplers")})


if __name__ == "__main__":
    main()
