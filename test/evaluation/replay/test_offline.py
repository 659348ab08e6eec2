# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An offline evaluation: its figures beside those that other code computes of the same files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from kpconv_ros import cli
from kpconv_ros.data.kitti_to_bag import EPOCH_NS
from kpconv_ros.data.label_stream import LabelStreamReader
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES, LEARNING_MAP
from kpconv_ros.evaluation.report.build import SCHEMA_FILE

NUM_SCANS = 8


def truth_and_published(street, folder):
    """Pairs of (class, label) of all points, from the label files and the kept labels, as plain integers."""
    stream = LabelStreamReader(folder / "record.labels")
    assert len(stream) == NUM_SCANS
    for index in range(NUM_SCANS):
        raw = np.fromfile(street / "labels" / f"{index:06}.label", np.uint32) & 0xFFFF
        published = stream.labels_at(EPOCH_NS + index * 100_000_000)
        truth = [LEARNING_MAP[number] for number in raw.tolist()]
        yield from zip(truth, published.labels.tolist(), published.confidence.tolist(), strict=True)


def test_every_scan_is_answered_and_the_report_fits_its_schema(report):
    jsonschema.validate(report, json.loads(SCHEMA_FILE.read_text()))
    assert report["recording"]["scans"] == NUM_SCANS
    for part in ("segmentation", "registration"):
        assert report["scans"][part] == {"given": NUM_SCANS, "answered": NUM_SCANS, "dropped": 0}
    assert report["problems"] == [] and report["recording"]["truth_source"] == "files"
    assert report["latency_ms"]["segmentation"]["total"]["count"] == NUM_SCANS


def test_miou_and_accuracy_are_those_of_sets_of_points(report, street, offline):
    truth_of, label_of, judged = {}, {}, 0
    for point, (truth, label, _) in enumerate(truth_and_published(street, offline)):
        if truth == 0:
            continue
        judged += 1
        truth_of.setdefault(truth, set()).add(point)
        label_of.setdefault(label, set()).add(point)
    ious = {
        KITTI_CLASSES[name]: len(points & label_of.get(name, set())) / len(points | label_of.get(name, set()))
        for name, points in truth_of.items()
    }
    hits = sum(len(points & label_of.get(name, set())) for name, points in truth_of.items())
    segmentation = report["segmentation"]
    assert len(ious) >= 4
    assert {name: iou for name, iou in segmentation["iou"].items() if iou is not None} == pytest.approx(ious)
    assert segmentation["miou"] == pytest.approx(sum(ious.values()) / len(ious))
    assert segmentation["accuracy"] == pytest.approx(hits / judged)


def test_calibration_and_share_labelled_are_those_of_a_loop(report, street, offline):
    bins = [[0, 0, 0.0] for _ in range(15)]
    num_points = num_labelled = 0
    for truth, label, confidence in truth_and_published(street, offline):
        num_points += 1
        num_labelled += label > 0
        if truth and label:
            row = bins[min(int(confidence * 15), 14)]
            row[0], row[1], row[2] = row[0] + 1, row[1] + (truth == label), row[2] + confidence
    total = sum(row[0] for row in bins)
    error = sum(abs(right - confidence) for _, right, confidence in bins) / total
    assert report["segmentation"]["calibration"]["ece"] == pytest.approx(error, abs=2e-3)  # kept in half precision
    assert report["segmentation"]["labelled_share"] == pytest.approx(num_labelled / num_points)
    assert report["segmentation"]["points"] == num_points


def test_ate_is_what_the_tool_of_evo_prints(report, offline):
    tool = Path(sys.executable).with_name("evo_ape")
    if not tool.exists():
        pytest.skip("needs evo's command line tool beside this Python")
    files = [str(offline / "reference.tum"), str(offline / "estimate.tum")]
    done = subprocess.run([tool, "tum", *files, "--align"], capture_output=True, text=True, timeout=120, check=True)
    printed = {name: float(value) for name, value in re.findall(r"(\w+)\s+([\d.]+)$", done.stdout, re.MULTILINE)}
    for name in ("rmse", "mean", "median", "max"):
        assert report["registration"]["ate_m"][name] == pytest.approx(printed[name], abs=2e-6)


def test_the_registration_follows_the_simulated_drive(report):
    registration = report["registration"]
    assert registration["placed"] == registration["with_reference"] == NUM_SCANS
    assert registration["way_m"] > 2.0 and registration["ate_m"]["max"] < 0.1
    assert registration["kitti_drift"]["lengths_m"][0] == 1.0


def test_scans_can_be_chosen_by_time_and_stride(street, model, tmp_path):
    words = [
        "--model",
        str(model),
        "--parts",
        "segmentation",
        "--out",
        str(tmp_path),
        "--start",
        "0.15",
        "--stride",
        "2",
    ]
    assert cli.main(["evaluate", str(street), *words, "--duration", "0.5"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["recording"]["scans"] == 3  # at 0.2, 0.4 and 0.6 s
    assert report["registration"] is None and report["settings"]["parts"] == ["segmentation"]


def test_an_unknown_part_or_parameter_is_one_line(street, model, tmp_path, capsys):
    assert cli.main(["evaluate", str(street), "--parts", "cooking", "--out", str(tmp_path)]) == 2
    assert "got cooking, expected some of segmentation, registration" in capsys.readouterr().err
    words = ["--model", str(model), "--out", str(tmp_path), "--segment", "time_bugdet:=1"]
    assert cli.main(["evaluate", str(street), *words]) == 2
    assert "unknown key 'time_bugdet'" in capsys.readouterr().err
