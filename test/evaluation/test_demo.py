# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo and the scoring of a recording, live: real nodes as processes, real messages, a tiny untrained network."""

import argparse
import json

import numpy as np
import pytest

from kpconv_ros import cli
from kpconv_ros.checkpoint import load_manifest, save_model
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES, KITTI_COLORS, LEARNING_MAP_INVERSE
from kpconv_ros.data.simulator import SIM_CLASSES, SIM_COLORS
from kpconv_ros.evaluation import demo, score
from kpconv_ros.evaluation.run_report import RecordError
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig


def tiny_model(folder, classes, colors):
    """Save an untrained network of two levels."""
    encoder = ("simple", "residual", "strided", "residual")
    config = KPFCNNConfig(num_classes=len(classes) - 1, in_features=2, voxel_size=0.4, width=8, encoder=encoder)
    manifest = {"name": "tiny", "classes": classes, "colors": colors, "features": ("one", "height")}
    save_model(folder, KPFCNN(config), {**manifest, "sphere_radius": 6.0, "intensity_scale": 1.0})
    return folder


def kitti_sequence(folder, num_scans=6):
    """Write a KITTI-layout sequence of a plane with a label by side."""
    generator = np.random.default_rng(0)
    for name in ("velodyne", "labels"):
        (folder / name).mkdir(parents=True)
    raw_label = {int(ours): int(raw) for ours, raw in LEARNING_MAP_INVERSE.items()}
    for index in range(num_scans):
        points = generator.uniform([-20, -20, -1.8, 0], [20, 20, -1.6, 1], (3000, 4)).astype(np.float32)
        points.tofile(folder / "velodyne" / f"{index:06}.bin")
        labels = np.where(points[:, 1] > 0, raw_label[9], raw_label[15]).astype(np.uint32)
        labels.tofile(folder / "labels" / f"{index:06}.label")
    identity = "1 0 0 0 0 1 0 0 0 0 1 0\n"
    (folder / "poses.txt").write_text(identity * num_scans)
    (folder / "calib.txt").write_text("".join(f"{key}: {identity}" for key in ("P0", "P1", "P2", "P3", "Tr")))
    (folder / "times.txt").write_text("".join(f"{0.1 * index:e}\n" for index in range(num_scans)))
    return folder


@pytest.fixture
def own_domain(monkeypatch):
    """Nodes of another test cannot be heard."""
    monkeypatch.setenv("ROS_DOMAIN_ID", "101")


@pytest.mark.ros
@pytest.mark.slow
def test_the_demo_runs_live_and_writes_report_and_pictures(tmp_path, own_domain, capsys):
    model = tiny_model(tmp_path / "tiny", SIM_CLASSES, SIM_COLORS)
    out = tmp_path / "out"
    assert cli.main(["demo", "--duration", "5", "--out", str(out), "--model", str(model)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert 20 <= report["scans_published"] <= 60
    assert report["scans_published"] == report["scans_labelled"] + report["scans_dropped"]
    assert report["scans_labelled"] > 0 and report["latency_ms"]["p50"] > 0
    assert set(report["iou"]) == set(SIM_CLASSES[1:]) and 0 <= report["miou"] <= 1
    assert report["map_voxels"] > 1000 and report["debug"]["total_ms"]["p50"] > 0
    assert all((out / name).stat().st_size > 10_000 for name in ("scan.png", "map.png"))
    assert "mean of present" in capsys.readouterr().out
    assert not list(out.glob("record.*ed")) and (out / "segment.log").exists()


@pytest.mark.ros
@pytest.mark.slow
def test_a_recording_is_scored_scan_by_scan(tmp_path, own_domain):
    model = tiny_model(tmp_path / "tiny", KITTI_CLASSES, KITTI_COLORS)
    sequence = kitti_sequence(tmp_path / "00")
    out = tmp_path / "out"
    assert cli.main(["score", str(sequence), "--out", str(out), "--model", str(model)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert (report["scans_published"], report["scans_labelled"], report["scans_dropped"]) == (6, 6, 0)
    assert report["points_per_scan"] == 3000
    assert sorted(name for name, iou in report["iou"].items() if iou is not None) == ["road", "vegetation"]


@pytest.mark.ros
@pytest.mark.slow
def test_a_node_that_refuses_its_arguments_ends_the_demo_with_its_own_words(tmp_path, own_domain, capsys):
    model = tiny_model(tmp_path / "tiny", SIM_CLASSES, SIM_COLORS)
    arguments = ["demo", "--rate", "5000", "--out", str(tmp_path / "out"), "--model", str(model)]
    assert cli.main(arguments) == 2
    text = capsys.readouterr().err
    assert "node 'simulate' ended with status 1" in text and "rate" in text and "5000" in text


def test_a_model_of_other_classes_is_refused(tmp_path):
    model = tiny_model(tmp_path / "tiny", KITTI_CLASSES, KITTI_COLORS)
    with pytest.raises(RecordError, match="expected those of the simulator: unlabeled, road"):
        demo.check_classes(load_manifest(model), SIM_CLASSES, "the simulator")


def test_a_missing_recording_is_named(tmp_path):
    parser = argparse.ArgumentParser()
    score.add_arguments(parser)
    with pytest.raises(FileNotFoundError, match="nothing.mcap"):
        score.run(parser.parse_args([str(tmp_path / "nothing.mcap")]))


def test_a_missing_model_is_one_line(tmp_path, capsys):
    assert cli.main(["demo", "--model", str(tmp_path / "no_model"), "--out", str(tmp_path)]) == 2
    assert "no_model" in capsys.readouterr().err
