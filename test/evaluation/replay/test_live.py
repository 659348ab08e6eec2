# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live evaluations: the real nodes as processes, judged by what they published."""

import json

import jsonschema
import numpy as np
import pytest
from evaluated import street_sequence

from kpconv_ros import cli
from kpconv_ros.data.kitti_to_bag import EPOCH_NS, kitti_to_bag
from kpconv_ros.data.label_stream import LabelStreamReader
from kpconv_ros.data.semantic_kitti import LEARNING_MAP, KittiSequence
from kpconv_ros.evaluation.report.build import SCHEMA_FILE

pytestmark = [pytest.mark.ros, pytest.mark.slow]
NUM_SCANS = 20


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """Two seconds of a street as a bag, and in KITTI's layout."""
    folder = tmp_path_factory.mktemp("live")
    sequence = street_sequence(folder / "00", NUM_SCANS)
    kitti_to_bag(KittiSequence(sequence), folder / "bag")
    return folder / "bag", sequence


@pytest.fixture
def evaluate(model, tmp_path, monkeypatch):
    """Evaluates a recording: exit status, report, folder."""
    pytest.importorskip("evo")
    monkeypatch.setenv("ROS_DOMAIN_ID", "101")  # nodes of another test cannot be heard

    def run(path, *words):
        status = cli.main(["evaluate", str(path), "--model", str(model), "--out", str(tmp_path), *words])
        report = json.loads((tmp_path / "report.json").read_text())
        jsonschema.validate(report, json.loads(SCHEMA_FILE.read_text()))
        return status, report, tmp_path

    return run


def accuracy_of(sequence, folder):
    """Share of the points with a true class that got it, of the scans whose labels were recorded."""
    stream, hits, judged, scans = LabelStreamReader(folder / "record.labels"), 0, 0, 0
    for index in range(NUM_SCANS):
        labels = stream.labels_at(EPOCH_NS + index * 100_000_000)
        if labels is None:
            continue
        raw = np.fromfile(sequence / "labels" / f"{index:06}.label", np.uint32) & 0xFFFF
        truth = np.array([LEARNING_MAP[number] for number in raw.tolist()])
        hits += int(((truth == labels.labels) & (truth > 0)).sum())
        judged += int((truth > 0).sum())
        scans += 1
    return hits / judged, scans


def test_what_the_nodes_published_is_judged(bag, evaluate):
    status, report, folder = evaluate(bag[0], "--mode", "live", "--keep-labels")
    assert status == 0 and report["problems"] == []
    accuracy, scans = accuracy_of(bag[1], folder)
    assert scans == report["scans"]["segmentation"]["answered"] >= NUM_SCANS // 4
    assert report["segmentation"]["accuracy"] == pytest.approx(accuracy)
    for part in ("segmentation", "registration"):
        counts = report["scans"][part]
        assert counts["given"] == NUM_SCANS == counts["answered"] + counts["dropped"]
        assert report["latency_ms"][part]["latency"]["count"] == counts["answered"]
        assert 0 < report["latency_ms"][part]["latency"]["p50"] < 5000
        assert report["latency_ms"][part]["total"]["p50"] > 0
    assert report["registration"]["placed"] > NUM_SCANS // 2 and report["registration"]["ate_m"]["max"] < 0.2
    assert report["segmentation"]["map_voxels"] > 500 and report["segmentation"]["converged"]["points"] > 1000
    assert {"segment", "register", "record_outputs"} <= set(report["usage"]["processes"])
    assert int(report["nodes"]["segment"]["processed"]) >= 1
    assert (folder / "report.html").stat().st_size > 1_000_000


def test_a_truncated_bag_is_judged_as_far_as_it_was_played(bag, evaluate, tmp_path):
    kitti_to_bag(KittiSequence(bag[1]), tmp_path / "cut")
    file = next((tmp_path / "cut").glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    status, report, _ = evaluate(tmp_path / "cut", "--mode", "live", "--parts", "registration")
    assert status == 1 and any("damaged" in problem for problem in report["problems"])
    counts = report["scans"]["registration"]
    assert 1 <= counts["answered"] <= counts["given"] < NUM_SCANS


def test_a_highest_rate_is_named_and_four_fifths_of_it_drop_nothing(bag, evaluate):
    words = ("--mode", "rate", "--parts", "registration", "--trial", "2", "--max-rate", "20")
    status, report, _ = evaluate(bag[0], *words)
    search = report["rate_search"]
    assert status == 0 and 0.3 < search["held_hz"] <= 20.0
    assert search["verified_hz"] == pytest.approx(0.8 * search["held_hz"]) and search["verified_dropped"] == 0
    trial = next(trial for trial in search["trials"] if trial["rate_hz"] == search["verified_hz"])
    assert trial["scans"] >= 40 and trial["dropped"] == {"registration": 0}
    assert report["scans"]["registration"] == {"given": trial["scans"], "answered": trial["scans"], "dropped": 0}
    assert report["latency_ms"]["registration"]["latency"]["count"] == trial["scans"]
