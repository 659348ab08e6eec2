# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command of the voting test, on folders in the published layouts that the tests write."""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from kitti_layout import write_sequence

from kpconv_ros.checkpoint import save_model
from kpconv_ros.cli import find_command
from kpconv_ros.data.datasets import IKA_CLASSES
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.scene_datasets import NPM3D_CLASSES, S3DIS_CLASSES
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES, LEARNING_MAP
from kpconv_ros.evaluation import voting_command
from kpconv_ros.evaluation.confusion_files import read_confusion_csv
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    voting_command.add_arguments(parser)
    return voting_command.run(parser.parse_args([*map(str, words), "--device", "cpu"]))


def make_model(folder: Path, classes: tuple[str, ...], features: tuple[str, ...] = ("one", "height")) -> Path:
    """Write a KP-FCNN with random weights."""
    torch.manual_seed(0)
    config = KPFCNNConfig(
        num_classes=len(classes) - 1,
        in_features=len(features),
        voxel_size=0.2,
        width=8,
        encoder=("simple", "strided", "residual"),
    )
    colors = tuple((label, label, label) for label in range(len(classes)))
    manifest = {"name": "random", "classes": classes, "colors": colors, "sphere_radius": 3.0, "features": features}
    save_model(folder, KPFCNN(config), {**manifest, "intensity_scale": 1.0})
    return folder


def write_kitti(root: Path, name: str, num_scans: int = 3) -> None:
    """Write scans of a floor and a wall 12 m wide, labelled road, building and outlier."""
    folder = root / "sequences" / name
    write_sequence(folder, num_scans)
    for scan in range(num_scans):
        generator = np.random.default_rng(scan)
        points = generator.uniform((-6, -6, -1.8, 0), (6, 6, -1.7, 1), (400, 4))  # the last is remission
        points[::2, 2] += generator.uniform(0, 3, 200)
        points.astype("<f4").tofile(folder / f"velodyne/{scan:06d}.bin")
        ids = np.where(np.arange(400) % 2, 40, 50)
        ids[::20] = 1
        ids.astype("<u4").tofile(folder / f"labels/{scan:06d}.label")


def iou_by_hand(truth: np.ndarray, predicted: np.ndarray) -> dict[int, float]:
    """IoU of each class of the truth, from raw SemanticKITTI ids, without the points whose truth is ignored."""
    to_class = np.vectorize(LEARNING_MAP.__getitem__)
    truth, predicted = to_class(truth), to_class(predicted)
    known = truth > 0
    truth, predicted = truth[known], predicted[known]
    return {
        int(c): float(((truth == c) & (predicted == c)).sum() / ((truth == c) | (predicted == c)).sum())
        for c in np.unique(truth)
    }


def test_scores_are_those_of_the_submitted_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_kitti(tmp_path, "00")
    model = make_model(tmp_path / "m", KITTI_CLASSES, ("one", "height", "intensity", "range"))
    out, submission = tmp_path / "out", tmp_path / "kitti.zip"
    words = ("--model", model, "--data", "semantickitti", "--root", tmp_path, "--sequences", "00", "--num-votes", 2)
    assert run(*words, "--past-frames", 1, "--out", out, "--submission", submission) == 0
    with zipfile.ZipFile(submission) as archive:
        files = [f"sequences/00/predictions/{scan:06d}.label" for scan in range(3)]
        predicted = np.concatenate([np.frombuffer(archive.read(name), "<u4") for name in files])
    truth = np.concatenate([np.fromfile(tmp_path / f"sequences/00/labels/{s:06d}.label", "<u4") for s in range(3)])
    assert len(predicted) == len(truth) == 1200 and (predicted > 0).all()
    expected = iou_by_hand(truth, predicted)
    scores = json.loads((out / "scores.json").read_text())
    assert {name: value for name, value in scores["iou"].items() if value is not None} == pytest.approx(
        {KITTI_CLASSES[label]: value for label, value in expected.items()}
    )
    assert scores["miou"] == pytest.approx(np.mean(list(expected.values())))
    assert scores["num_points"] == 1200 and scores["fewest_tests"] == 2 and scores["split"] == "sequences 00"
    classes, matrix = read_confusion_csv(out / "confusion.csv")
    assert classes == KITTI_CLASSES and matrix.counts.sum() == 1200 and matrix.counts[0].sum() == 60
    assert matrix.accuracy() == pytest.approx(scores["accuracy"])
    assert (out / "confusion.png").read_bytes()[:4] == b"\x89PNG"
    said = capsys.readouterr().out
    assert f"mIoU {scores['miou']:.3f}" in said and f"wrote {submission}" in said and "3 clouds, 1,200 points" in said


def test_static_clouds_are_tested_by_the_classes_of_their_dataset(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    for stamp in ("1", "2"):
        points = np.random.default_rng(int(stamp)).uniform(-4, 4, (500, 3)).astype(np.float32)
        ids = np.arange(500, dtype=np.uint8) % 11
        np.savez(tmp_path / f"val/{stamp}.npz", xyz=points, intensity=np.zeros(500, np.uint8), label=ids)
    few = ("unlabeled", "car", "road")  # a model may know fewer classes, in another order
    model = make_model(tmp_path / "m", few)
    words = ("--model", model, "--data", "ika", "--root", tmp_path, "--num-votes", 1, "--out", tmp_path / "out")
    assert run(*words) == 0
    classes, matrix = read_confusion_csv(tmp_path / "out/confusion.csv")
    assert classes == IKA_CLASSES and matrix.counts.sum() == 1000
    columns = {classes[column] for column in np.flatnonzero(matrix.counts.any(axis=0))}
    assert columns and columns <= {"car", "road"}


def test_a_room_of_another_area_is_tested_for_six_folds(tmp_path: Path) -> None:
    for area in (2, 5):
        folder = tmp_path / f"Area_{area}/office_{area}/Annotations"
        folder.mkdir(parents=True)
        rows = np.random.default_rng(area).uniform(0, 3, (100 * area, 6))
        np.savetxt(folder / "wall_1.txt", rows, fmt="%.3f")
    model = make_model(tmp_path / "m", S3DIS_CLASSES)
    words = ("--model", model, "--data", "s3dis", "--root", tmp_path, "--num-votes", 1, "--out", tmp_path / "out")
    assert run(*words) == 0
    assert json.loads((tmp_path / "out/scores.json").read_text())["num_points"] == 500
    assert run(*words, "--area", 2) == 0
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert scores["num_points"] == 200 and scores["split"] == "area 2"


def test_a_hidden_test_set_gives_a_submission_and_no_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open3d_files = pytest.importorskip("kpconv_ros.data.open3d_files")
    (tmp_path / "test_10_classes").mkdir()
    counts = {"ajaccio_2": 300, "ajaccio_57": 200, "dijon_9": 100}
    for name, count in counts.items():
        points = np.random.default_rng(count).uniform(0, 4, (count, 3)) + [363_000.0, 6_500_000.0, 40.0]
        columns = {"scalar_reflectance": np.full(count, 51, np.float32)}
        open3d_files.write_fields(tmp_path / f"test_10_classes/{name}.ply", points, columns, None)
    model = make_model(tmp_path / "m", NPM3D_CLASSES, ("one", "height", "intensity"))
    words = ("--model", model, "--data", "npm3d", "--root", tmp_path, "--split", "test", "--num-votes", 1)
    assert run(*words, "--submission", tmp_path / "npm3d.zip", "--out", tmp_path / "out") == 0
    with zipfile.ZipFile(tmp_path / "npm3d.zip") as archive:
        lines = {name: archive.read(f"{name}.txt").decode().split() for name in counts}
    assert {name: len(labels) for name, labels in lines.items()} == counts
    assert {label for labels in lines.values() for label in labels} <= set("123456789")
    assert "no truth" in capsys.readouterr().out and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--data", "ika", "--sequences", "00"), "--sequences: expected with --data semantickitti only"),
        (("--data", "semantickitti", "--area", "1"), "--area: expected with --data s3dis only"),
        (("--data", "semantickitti", "--past-frames", "-1"), "--past-frames: expected 0 or more, got -1"),
        (("--data", "ika", "--submission", "x.zip"), "got 'ika', expected one with a server"),
        (("--data", "ika"), "classes road-sign, the dataset only road"),
        (("--data", "s3dis", "--area", "3"), "no room of area 3"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    (tmp_path / "val").mkdir()
    np.savez(tmp_path / "val/1.npz", xyz=np.zeros((5, 3)), intensity=np.zeros(5), label=np.zeros(5, int))
    has_odd_class = told.startswith("classes")
    model = make_model(tmp_path / "m", ("unlabeled", "road", "road-sign") if has_odd_class else ("unlabeled", "road"))
    with pytest.raises(DatasetError, match=told):
        run("--model", model, "--root", tmp_path, *words)


def test_the_command_is_in_the_table() -> None:
    command = find_command(["test", "segment", "--model", "m"])
    assert command is not None and command.module == voting_command.__name__
