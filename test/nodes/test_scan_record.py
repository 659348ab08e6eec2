# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the recorder keeps: matching by stamp, counts, one scan, and the file."""

import numpy as np

from kpconv_ros.evaluation.run_report import load_record
from kpconv_ros.nodes.scan_record import MAX_WAITING, ScanRecord


def cloud(labels):
    """Structured points at x = 0, 1, 2, ... with labels."""
    points = np.zeros(len(labels), dtype=[("x", "f4"), ("y", "f4"), ("z", "f4"), ("label", "u1")])
    points["x"], points["label"] = np.arange(len(labels)), labels
    return points


def test_labels_and_truth_are_matched_by_stamp_in_either_order():
    record = ScanRecord()
    record.add_truth(100, cloud([1, 1, 2]), published=105)
    record.add_labels(200, cloud([3, 3]), published=260, received=270)
    record.add_labels(100, cloud([1, 2, 2]), published=150, received=151)
    record.add_truth(200, cloud([3, 0]), published=205)
    assert {(i, j): int(record.pair_counts[i, j]) for i, j in np.argwhere(record.pair_counts)} == {
        (1, 1): 1,
        (1, 2): 1,
        (2, 2): 1,
        (3, 3): 1,
        (0, 3): 1,
    }
    assert record.num_scans == 2


def test_a_scan_without_labels_is_counted_as_published_only(tmp_path):
    record = ScanRecord()
    for stamp in range(3):
        record.add_truth(stamp, cloud([1]), published=stamp)
    record.add_labels(1, cloud([1]), published=9, received=10)
    record.save(tmp_path / "record.npz")
    assert load_record(tmp_path / "record.npz").labels_published.tolist() == [-1, 9, -1]


def test_labels_without_truth_are_no_scan(tmp_path):
    record = ScanRecord()
    record.add_labels(7, cloud([1]), published=9, received=10)
    record.save(tmp_path / "record.npz")
    assert record.num_scans == 0 and len(load_record(tmp_path / "record.npz").stamp) == 0


def test_clouds_of_other_sizes_are_noted_and_not_counted():
    record = ScanRecord()
    record.add_truth(1, cloud([1, 1]), published=1)
    record.add_labels(1, cloud([1]), published=2, received=3)
    assert record.num_mismatched == 1 and record.pair_counts.sum() == 0


def test_memory_is_bounded_when_no_labels_come():
    record = ScanRecord()
    for stamp in range(3 * MAX_WAITING):
        record.add_truth(stamp, cloud([1]), published=stamp)
    assert len(record._waiting_truth) <= MAX_WAITING + 1 and record.num_scans == 3 * MAX_WAITING


def test_the_scan_with_the_most_classes_is_kept():
    record = ScanRecord()
    for stamp, labels in enumerate(([1] * 40, [1] * 20 + [2] * 20, [3] * 40)):
        record.add_truth(stamp, cloud(labels), published=stamp)
        record.add_labels(stamp, cloud([5] * 40), published=stamp, received=stamp)
    assert set(record.scan["truth"].tolist()) == {1, 2}
    assert record.scan["predicted"].tolist() == [5] * 40
    assert record.scan["points"][3].tolist() == [3, 0, 0]


def test_a_saved_record_is_what_evaluation_reads(tmp_path):
    record = ScanRecord()
    record.add_truth(10, cloud([1, 2]), published=11)
    record.add_labels(10, cloud([1, 1]), published=20, received=21)
    record.add_debug("total_ms", 4.5)
    record.set_map(cloud([1, 2, 2]))
    record.save(tmp_path / "record.npz")
    read = load_record(tmp_path / "record.npz")
    assert (read.stamp.tolist(), read.num_points.tolist(), read.labels_received.tolist()) == ([10], [2], [21])
    assert read.pair_counts[2, 1] == 1 and read.num_mismatched == 0
    assert read.map["labels"].tolist() == [1, 2, 2] and read.debug["total_ms"].tolist() == [4.5]
    assert [path.name for path in tmp_path.iterdir()] == ["record.npz"]
