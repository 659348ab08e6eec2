# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of a live run: its schema, its numbers and what it refuses."""

import json

import numpy as np
import pytest

from kpconv_ros.evaluation.run_report import (
    RecordError,
    build_report,
    draw_pictures,
    format_report,
    load_record,
    write_report,
)

CLASSES = ("unlabeled", "road", "car")
COLORS = ((0, 0, 0), (255, 0, 255), (100, 150, 245))
MS = 1_000_000


def record_file(path, **changes):
    """A record of four scans of which three were labelled after 10, 20 and 30 ms."""
    counts = np.zeros((256, 256), dtype=np.int64)
    counts[1, 1], counts[1, 2], counts[2, 2], counts[0, 1] = 60, 20, 20, 7
    stamp = np.arange(4) * 100 * MS
    arrays = {
        "stamp": stamp,
        "truth_published": stamp + 5 * MS,
        "labels_published": np.array([10, 120, 230, -1 / MS]) * MS,
        "labels_received": np.array([11, 121, 231, -1 / MS]) * MS,
        "num_points": np.full(4, 28800),
        "pair_counts": counts,
        "num_mismatched": np.array(0),
        "scan_points": np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32),
        "scan_predicted": np.ones(50, dtype=np.uint8),
        "scan_truth": np.full(50, 2, dtype=np.uint8),
        "map_points": np.random.default_rng(1).normal(size=(80, 3)).astype(np.float32),
        "map_labels": np.ones(80, dtype=np.uint8),
        "debug_total_ms": np.array([1.0, 2.0, 3.0]),
    }
    arrays |= {name: value.astype(np.int64) for name, value in arrays.items() if name.startswith("labels_")}
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    return path


def test_a_report_has_the_promised_keys_and_numbers(tmp_path):
    report = build_report(load_record(record_file(tmp_path / "record.npz")), CLASSES)
    assert (report["scans_published"], report["scans_labelled"], report["scans_dropped"]) == (4, 3, 1)
    assert report["latency_ms"] == {"p50": 20.0, "p95": 29.0, "p99": 29.8}
    assert report["latency_at_receipt_ms"]["p50"] == 21.0
    assert report["iou"] == {"road": pytest.approx(0.75), "car": pytest.approx(0.5)}
    assert report["miou"] == pytest.approx(0.625)
    assert report["points_per_scan"] == 28800
    assert report["map_voxels"] == 80
    assert report["debug"]["total_ms"]["p50"] == 2.0


def test_latency_can_count_from_publication(tmp_path):
    report = build_report(load_record(record_file(tmp_path / "record.npz")), CLASSES, latency_from="publication")
    assert report["latency_ms"]["p50"] == 15.0


def test_a_report_survives_json(tmp_path):
    report = build_report(load_record(record_file(tmp_path / "record.npz")), CLASSES)
    write_report(report, tmp_path / "out" / "report.json")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report


def test_a_run_without_labels_is_reported_without_numbers(tmp_path):
    never = np.full(4, -1)
    nothing = {"labels_published": never, "labels_received": never, "pair_counts": np.zeros((256, 256), int)}
    report = build_report(load_record(record_file(tmp_path / "record.npz", **nothing)), CLASSES)
    assert report["scans_dropped"] == 4 and report["miou"] is None and report["latency_ms"]["p50"] is None
    write_report(report, tmp_path / "report.json")
    assert "dropped 4" in format_report(report, "nothing")


def test_the_table_names_every_class_and_the_mean(tmp_path):
    table = format_report(build_report(load_record(record_file(tmp_path / "record.npz")), CLASSES), "a run")
    assert all(word in table for word in ("a run", "road", "0.750", "car", "0.500", "mean", "0.625", "p95 29.0"))


def test_pictures_are_drawn_of_what_is_there(tmp_path):
    record = load_record(record_file(tmp_path / "record.npz"))
    drawn = draw_pictures(record, CLASSES, COLORS, tmp_path)
    assert [path.name for path in drawn] == ["scan.png", "map.png"]
    assert all(path.stat().st_size > 5000 for path in drawn)
    without_map = load_record(record_file(tmp_path / "record.npz", map_points=None, map_labels=None))
    assert [path.name for path in draw_pictures(without_map, CLASSES, COLORS, tmp_path)] == ["scan.png"]


def test_labels_beyond_the_classes_are_refused(tmp_path):
    counts = np.zeros((256, 256), dtype=np.int64)
    counts[12, 1] = 3
    record = load_record(record_file(tmp_path / "record.npz", pair_counts=counts))
    with pytest.raises(RecordError, match="got a label 12, expected 0 .. 2"):
        build_report(record, CLASSES)


def test_clouds_that_do_not_fit_their_truth_are_refused(tmp_path):
    record = load_record(record_file(tmp_path / "record.npz", num_mismatched=np.array(2)))
    with pytest.raises(RecordError, match="got 2 labelled scans"):
        build_report(record, CLASSES)


@pytest.mark.parametrize("content", [None, b"", b"not a record"])
def test_a_missing_or_broken_record_is_named(content, tmp_path):
    path = tmp_path / "record.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordError, match=r"record\.npz"):
        load_record(path)


def test_a_record_without_a_field_is_refused(tmp_path):
    with pytest.raises(RecordError, match="expected the record of a live run"):
        load_record(record_file(tmp_path / "record.npz", num_points=None))
