# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cross validation over the published folds of a dataset, by the command, on six tiny areas of S3DIS."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from kpconv_ros.cli import main
from kpconv_ros.config_io import ConfigError, load_config
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.scene_datasets import S3DIS_CLASSES
from kpconv_ros.evaluation.confusion_files import read_confusion_csv
from kpconv_ros.training.cross_validation import folds_of, format_folds
from kpconv_ros.training.segment_config import SegmentTrainingConfig

AREAS = [f"Area_{area}" for area in range(1, 7)]
FIELDS = {
    "name": "tiny",
    "data": "s3dis",
    "width": 8,
    "steps": 3,
    "learning_rate": 0.01,
    "voxel_size": 0.15,
    "sphere_radius": 1.5,
    "batch_points": 200,
    "num_threads": 1,
    "prepare_processes": 1,
    "device": "cpu",
}


def write_areas(root: Path) -> Path:
    """Write a room of each area: floor and wall, each area with more points than the one before; only 3 has a board."""
    for number, area in enumerate(AREAS, 1):
        folder = root / area / f"office_{number}/Annotations"
        folder.mkdir(parents=True)
        generator = np.random.default_rng(number)
        for name, axis in (("floor_1", 2), ("wall_1", 0), *([("board_1", 1)] if number == 3 else [])):
            rows = generator.uniform(0, 2, (100 * number, 6))
            rows[:, axis] = 0.0
            np.savetxt(folder / f"{name}.txt", rows * [1, 1, 1, 90, 90, 90], fmt="%.3f")
    return root


def write_config(folder: Path, **fields: object) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**FIELDS, "cache": str(folder / "kept"), **fields}))
    return path


def command(root: Path, *words: object, **fields: object) -> int:
    config, out = write_config(root, **fields), root / "out"
    given = ["--config", config, "--root", root, "--out", out, "--num-votes", 1, *words]
    return main(["cross-validate", *map(str, given)])


def changed_files(folder: Path, before: dict[Path, int]) -> set[str]:
    """Return the folders, relative, in which a file is new or was written again."""
    now = files_of(folder)
    return {str(path.parent.relative_to(folder)) for path in now if now[path] != before.get(path)}


def files_of(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def iou_by_hand(counts: np.ndarray) -> dict[str, float]:
    """IoU of each class that the truth has, from a table of counts."""
    found = {}
    for label in range(1, len(counts)):
        hits, true, predicted = counts[label, label], counts[label].sum(), counts[1:, label].sum()
        if true:
            found[S3DIS_CLASSES[label]] = hits / (true + predicted - hits)
    return found


def test_each_fold_is_trained_and_scored_once_and_all_points_give_one_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = write_areas(tmp_path), tmp_path / "out"
    assert command(root, "--folds", "Area_5", "Area_3") == 0
    assert "2 of 6 folds are scored: the last column is no score of s3dis yet" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["Area_3", "Area_5"]
    first = files_of(out)
    assert command(root) == 0
    said = capsys.readouterr().out
    assert "folds are scored" not in said
    assert not {name for name in changed_files(out, first) if name.startswith(("Area_3", "Area_5"))}

    total = np.zeros((14, 14), np.int64)
    for number, area in enumerate(AREAS, 1):
        state = torch.load(out / area / "checkpoint.pt", weights_only=True)
        trained_on = {name.split("/")[0] for name in state["config"]["sequences"]}
        assert trained_on == set(AREAS) - {area} and state["step"] == 3
        _, matrix = read_confusion_csv(out / area / "scores/confusion.csv")
        assert matrix.counts.sum() == (3 if number == 3 else 2) * 100 * number
        total += matrix.counts
    expected = iou_by_hand(total)
    scores = json.loads((out / "scores.json").read_text())
    assert read_confusion_csv(out / "confusion.csv")[1].counts.tolist() == total.tolist()
    assert {name: value for name, value in scores["iou"].items() if value is not None} == pytest.approx(expected)
    assert set(expected) == {"floor", "wall", "board"}
    assert scores["miou"] == pytest.approx(np.mean(list(expected.values())))
    assert scores["class_accuracy"] == pytest.approx(np.mean([total[c, c] / total[c].sum() for c in (2, 3, 12)]))
    assert [fold["fold"] for fold in scores["folds"]] == AREAS and scores["num_points"] == 4500
    row = next(line for line in said.splitlines() if line.startswith("mIoU"))
    assert row.split()[-1] == f"{100 * scores['miou']:.1f}" and len(row.split()) == 8

    before = files_of(out)
    assert command(root, "--folds", "Area_1", "--num-votes", 2) == 0  # other votes: another score of the same network
    assert {name for name in changed_files(out, before) if name.startswith("Area_")} == {
        "Area_1",
        "Area_1/scores",
        "Area_1/tiny",
    }
    assert torch.load(out / "Area_1/checkpoint.pt", weights_only=True)["step"] == 3
    repeat = json.loads((out / "scores.json").read_text())["command"]
    assert repeat.endswith("--config config/config.yaml --root ROOT --out OUT --num-votes 2")
    assert command(root, "--set", "steps=4") == 2
    assert "Area_1/checkpoint.pt belongs to another config" in capsys.readouterr().err


def test_the_table_has_a_row_a_class_and_a_column_a_fold() -> None:
    def scores(name: str, wall: float | None) -> dict[str, object]:
        miou = float("nan") if wall is None else wall
        means = {"miou": miou, "class_accuracy": miou, "accuracy": 1.0}
        return {"fold": name, "iou": {"wall": wall, "door": 0.25}, **means}

    table = format_folds({**scores("", 0.5), "folds": [scores("Area_1", 0.123), scores("Area_2", None)]})
    assert [line.split() for line in table.splitlines()] == [
        ["IoU", "Area_1", "Area_2", "all"],
        ["wall", "12.3", "-", "50.0"],
        ["door", "25.0", "25.0", "25.0"],
        ["mIoU", "12.3", "-", "50.0"],
        ["mean", "class", "recall", "12.3", "-", "50.0"],
        ["accuracy", "100.0", "100.0", "100.0"],
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"data": "npm3d"}, "expected a dataset with published folds, s3dis, got npm3d"),
        ({"data": "simulator"}, "expected a dataset with published folds, s3dis, got simulator"),
        ({"validate_every": 5}, "validate_every: expected 0, as the folds decide it, got 5"),
        ({"sequences": ("Area_1/office_1",)}, "sequences: expected ()"),
        ({"test_area": 2}, "test_area: expected 5"),
    ],
)
def test_what_the_folds_decide_cannot_be_set(tmp_path: Path, fields: dict[str, object], told: str) -> None:
    config = SegmentTrainingConfig(**{"data": "s3dis", "root": str(tmp_path), **fields})  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as error:
        folds_of(config, tmp_path)
    assert told in str(error.value)


def test_a_missing_area_is_told_before_the_first_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_areas(tmp_path)
    (root / "Area_6").rename(root / "area_6")
    with pytest.raises(DatasetError, match="got no cloud of the split test of s3dis"):
        folds_of(SegmentTrainingConfig(data="s3dis", root=str(root)), tmp_path)
    (root / "area_6").rename(root / "Area_6")
    assert command(root, "--folds", "Area_1", "Area_9") == 2
    assert "fold: got 'Area_9', expected one of Area_1" in capsys.readouterr().err and not (root / "out").exists()


def test_the_shipped_config_is_the_recipe_of_the_paper(repository: Path) -> None:
    config = load_config(SegmentTrainingConfig, repository / "config/train_s3dis.yaml")
    assert (config.voxel_size, config.sphere_radius, config.width) == (0.04, 2.0, 128)
    assert (config.optimizer, config.learning_rate, config.momentum) == ("sgd", 0.01, 0.98)
    assert config.epoch_decay**100 == pytest.approx(0.1) and config.steps == 400 * config.epoch_steps
    assert (config.lovasz, config.class_power, config.average, config.regularization) == (0.0, 0.0, 0.0, 0.1)
    assert config.features == ("one", "red", "green", "blue")
