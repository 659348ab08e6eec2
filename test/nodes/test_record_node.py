# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live recorder: it waits for the nodes, records what they publish, takes the map at the end, and ends."""

import subprocess
import sys
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")

from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float64, Header

from kpconv_ros.evaluation.run_report import build_report, load_record
from kpconv_ros.nodes.pointcloud2_msg import cloud_message, pack_columns
from kpconv_ros.nodes.pose_msg import stamp_of
from kpconv_ros.nodes.qos import latched_qos, stream_qos

pytestmark = pytest.mark.ros
NUM_SCANS = 8


@pytest.fixture
def node(context):
    """A node of this process that publishes what source and segmentation would."""
    node = rclpy.create_node("publishers", context=context)
    yield node
    node.destroy_node()


@pytest.fixture
def recorder(tmp_path):
    """The recorder as a process of its own, writing ``record.npz``."""
    words = ["-m", "kpconv_ros.nodes.record_node", "--ros-args"]
    words += ["-p", f"output:={tmp_path / 'record.npz'}", "-p", "finish_delay:=0.5", "-p", "map_patience:=10.0"]
    with (tmp_path / "record.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *words], stdout=log, stderr=log)
    yield process
    process.kill()
    process.wait()


def wait_for(condition, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def labelled(stamp, labels):
    """A cloud message with labels; x counts the points."""
    zeros = np.zeros(len(labels), np.float32)
    x = np.arange(len(labels), dtype=np.float32)
    points = pack_columns(x=x, y=zeros, z=zeros, label=np.array(labels, np.uint8))
    return cloud_message(points, Header(stamp=stamp, frame_id="lidar"))


def test_a_run_is_recorded_from_ready_to_the_map(node, recorder, tmp_path):
    ready, started = tmp_path / "record.ready", tmp_path / "record.started"
    labels = node.create_publisher(PointCloud2, "segment/output/labels", stream_qos())
    debug = node.create_publisher(Float64, "segment/debug/total_ms", stream_qos())
    truth = node.create_publisher(PointCloud2, "lidar/ground_truth", stream_qos())
    wait_for(lambda: truth.get_subscription_count() and labels.get_subscription_count())
    assert not ready.exists(), "nobody listens to the scans yet"
    node.create_subscription(PointCloud2, "lidar/points", lambda message: None, stream_qos())
    wait_for(ready.exists)
    wait_for(debug.get_subscription_count)
    assert not started.exists()

    for index in range(NUM_SCANS):
        now = time.time()
        truth.publish(labelled(stamp_of(now), [1, 1, 2, 0]))
        if index:  # the first scan gets no labels
            labels.publish(labelled(stamp_of(now), [1, 2, 2, 1]))
        debug.publish(Float64(data=float(index)))
        time.sleep(0.05)
    wait_for(started.exists)
    node.destroy_publisher(truth)
    map_publisher = node.create_publisher(PointCloud2, "segment/output/map", latched_qos())
    map_publisher.publish(labelled(stamp_of(time.time()), [1] * 7))

    assert recorder.wait(30) == 0, (tmp_path / "record.log").read_text()
    record = load_record(tmp_path / "record.npz")
    report = build_report(record, ("unlabeled", "road", "car"))
    assert (report["scans_published"], report["scans_labelled"], report["scans_dropped"]) == (
        NUM_SCANS,
        NUM_SCANS - 1,
        1,
    )
    assert report["iou"] == {"road": 0.5, "car": 0.5}
    assert 0 < report["latency_ms"]["p50"] < report["latency_at_receipt_ms"]["p99"] < 1000
    assert record.debug["total_ms"].tolist() == list(range(NUM_SCANS))
    assert len(record.map["labels"]) == 7 and record.scan["points"][3].tolist() == [3, 0, 0]


def test_an_interrupted_recorder_still_writes_its_file(node, recorder, tmp_path):
    truth = node.create_publisher(PointCloud2, "lidar/ground_truth", stream_qos())
    wait_for(truth.get_subscription_count)
    recorder.send_signal(2)
    assert recorder.wait(20) == 0
    assert len(load_record(tmp_path / "record.npz").stamp) == 0


def test_an_unknown_parameter_ends_it_with_its_name(tmp_path):
    words = ["-m", "kpconv_ros.nodes.record_node", "--ros-args", "-p", "outptu:=x"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "outptu" in done.stderr and "'output'" in done.stderr
