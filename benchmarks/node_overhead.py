# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the segment node adds to its pipeline: reading the message, the pose, building and publishing the labels.

Scans of 28,800 points go over DDS to a node with the default model. ``ours`` is the node, ``peer`` the pipeline alone
(``LiveSegmenter.process``) for the very same scans: ``node_overhead`` inside the node's worker, ``node_round_trip``
from publishing the cloud to hearing its labels, both ends in this process.
"""

import contextlib
import statistics
import threading
import time
from typing import Any

import numpy as np
import rclpy
import torch
from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from benchmarks._measure import Row, print_row, write_rows
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.nodes.pointcloud2_msg import cloud_message, pack_columns
from kpconv_ros.nodes.pose_msg import odometry_message, stamp_of
from kpconv_ros.nodes.qos import stream_qos
from kpconv_ros.nodes.scan_processor import ScanProcessor
from kpconv_ros.nodes.segment_node import SegmentNode
from kpconv_ros.pipelines.live_segmenter import LiveSegmenter

NUM_SCANS = 25
NUM_WARM_UP = 5
PATIENCE = 60.0  # s


def record_times(owner: type, times_ms: list[float]) -> None:
    """Let ``owner.process`` note how long each call takes."""
    process = owner.process  # type: ignore[attr-defined]

    def timed(*arguments: Any) -> Any:
        started = time.perf_counter()
        result = process(*arguments)
        times_ms.append(1e3 * (time.perf_counter() - started))
        return result

    owner.process = timed  # type: ignore[attr-defined]


class Sender:
    """Sends a scan with its odometry, and waits for the labels."""

    def __init__(self, node: rclpy.node.Node) -> None:
        """Make the topics."""
        self._heard = threading.Event()
        self._cloud = node.create_publisher(PointCloud2, "/segment/input/points", stream_qos())
        self._odometry = node.create_publisher(Odometry, "/segment/input/odometry", stream_qos())
        node.create_subscription(
            PointCloud2, "/segment/output/labels", lambda _: self._heard.set(), stream_qos(), raw=True
        )

    def send(self, scan: Any, patience: float = PATIENCE) -> float | None:
        """Return the milliseconds until labels came back; None if they did not."""
        stamp = stamp_of(1000.0 + scan.stamp)
        header = Header(stamp=stamp, frame_id="lidar")
        columns = {"xyz"[axis]: np.ascontiguousarray(scan.points[:, axis]) for axis in range(3)}
        message = cloud_message(pack_columns(**columns, intensity=scan.intensity, ring=scan.ring), header)
        self._heard.clear()
        self._odometry.publish(odometry_message(scan.T_map_sensor, stamp, "odom", "lidar"))
        started = time.perf_counter()
        self._cloud.publish(message)
        return 1e3 * (time.perf_counter() - started) if self._heard.wait(patience) else None


def spin(executor: SingleThreadedExecutor) -> None:
    """Spin until the context ends."""
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


def measure() -> tuple[list[float], list[float], list[float]]:
    """Return the milliseconds of node, pipeline and round trip for each scan."""
    node_ms: list[float] = []
    pipeline_ms: list[float] = []
    record_times(ScanProcessor, node_ms)
    record_times(LiveSegmenter, pipeline_ms)
    rclpy.init()
    nodes = [SegmentNode(), rclpy.create_node("sender")]
    executors = [SingleThreadedExecutor() for _ in nodes]
    for executor, node in zip(executors, nodes, strict=True):
        executor.add_node(node)
        threading.Thread(target=spin, args=(executor,), daemon=True).start()
    sender, simulator = Sender(nodes[1]), Simulator(SimulatorConfig(), seed=0)
    scans = [simulator.scan(0.1 * i) for i in range(NUM_WARM_UP + NUM_SCANS)]
    deadline = time.monotonic() + PATIENCE
    while sender.send(scans[0], patience=1.0) is None:  # until node and sender have found each other
        if time.monotonic() > deadline:
            raise RuntimeError(f"the node labelled nothing in {PATIENCE} s")
    trips = [sender.send(scan) for scan in scans[1:]]
    rclpy.shutdown()
    if None in trips:
        raise RuntimeError(f"{trips.count(None)} of {len(trips)} scans came back without labels")
    return node_ms[-NUM_SCANS:], pipeline_ms[-NUM_SCANS:], [trip for trip in trips if trip is not None][-NUM_SCANS:]


def row_of(name: str, ours: list[float], peer: list[float]) -> Row:
    """Summarise by the scan with the median ratio."""
    pairs = sorted(zip(ours, peer, strict=True), key=lambda pair: pair[1] / pair[0])
    ours_ms, peer_ms = pairs[len(pairs) // 2]
    extra = statistics.median(a - b for a, b in pairs)
    return Row(
        name=name,
        ours_ms=ours_ms,
        peer="pipeline alone",
        peer_ms=peer_ms,
        ratio=peer_ms / ours_ms,
        ours_peak_mb=None,
        peer_peak_mb=None,
        ours_cpu_ms=None,
        peer_cpu_ms=None,
        cpu_ratio=None,
        rounds=len(pairs),
        allocator="default",
        threads=torch.get_num_threads(),
        input="simulator, 32 rings x 980",
        note=f"the node adds {extra:.2f} ms (median)",
    )


def main() -> None:
    """Measure."""
    node_ms, pipeline_ms, trips = measure()
    rows = [row_of("node_overhead", node_ms, pipeline_ms), row_of("node_round_trip", trips, pipeline_ms)]
    for row in rows:
        print_row(row)
    write_rows("node_overhead", rows)


if __name__ == "__main__":
    main()
