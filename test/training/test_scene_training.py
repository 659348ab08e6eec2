# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings on scene datasets, by the command, on tiny folders in their published formats."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from kpconv_ros.checkpoint import load_manifest
from kpconv_ros.cli import main
from kpconv_ros.config_io import ConfigError
from kpconv_ros.data.datasets import find_dataset
from kpconv_ros.data.open3d_files import write_fields
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import load_clips

RNG = np.random.default_rng(0)
FLOOR, WALL = RNG.uniform(-1, 1, (2, 600, 3))
FLOOR[:, 2], WALL[:, 0], WALL[:, 2] = 0.0, 1.0, np.abs(WALL[:, 2])
POINTS = np.concatenate([FLOOR, WALL]).astype(np.float32)
COLORS = RNG.integers(0, 256, POINTS.shape)
HALF = len(FLOOR)


def labels_of(floor: int, wall: int) -> np.ndarray:
    return np.repeat([floor, wall], HALF)


def write_s3dis(root: Path) -> None:
    rows = np.hstack([POINTS, COLORS])
    for area in (1, 5):
        folder = root / f"Area_{area}/office_1/Annotations"
        folder.mkdir(parents=True)
        np.savetxt(folder / "floor_1.txt", rows[:HALF], fmt="%.3f")
        np.savetxt(folder / "wall_1.txt", rows[HALF:], fmt="%.3f")


def write_scannet(root: Path) -> None:
    folder = root / "scans/scene0000_00"
    folder.mkdir(parents=True)
    write_fields(folder / "scene0000_00_vh_clean_2.ply", POINTS, {}, COLORS.astype(np.uint8))
    ids = {"label": labels_of(2, 1).astype(np.uint16)}
    write_fields(folder / "scene0000_00_vh_clean_2.labels.ply", POINTS, ids, None)
    (root / "scannetv2_train.txt").write_text("scene0000_00\n")


def write_semantic3d(root: Path) -> None:
    table = np.hstack([POINTS, np.zeros((len(POINTS), 1)), COLORS])
    np.savetxt(root / "sg27_station1_intensity_rgb.txt", table, fmt="%.3f")
    np.savetxt(root / "sg27_station1_intensity_rgb.labels", labels_of(1, 5), fmt="%d")


def write_npm3d(root: Path) -> None:
    (root / "training_10_classes").mkdir()
    fields = {"scalar_reflectance": COLORS[:, 0].astype(np.float32), "scalar_class": labels_of(1, 2).astype(np.int32)}
    write_fields(
        root / "training_10_classes/Lille2.ply", POINTS + np.array([363_000.0, 6_500_000.0, 40.0]), fields, None
    )


def write_ika(root: Path) -> None:
    (root / "train").mkdir()
    intensity, label = COLORS[:, 0].astype(np.uint8), labels_of(0, 2).astype(np.uint8)
    np.savez(root / "train/1.npz", xyz=POINTS, intensity=intensity, label=label)


WRITERS: dict[str, Callable[[Path], None]] = {
    "s3dis": write_s3dis,
    "scannet": write_scannet,
    "semantic3d": write_semantic3d,
    "npm3d": write_npm3d,
    "ika": write_ika,
}


def write_config(folder: Path, **fields: object) -> Path:
    tiny = {"name": "tiny", "width": 8, "steps": 2, "batch_points": 200, "max_sphere_points": 300, "device": "cpu"}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**tiny, "cache": str(folder / "kept"), "prepare_processes": 1, **fields}))
    return path


@pytest.mark.parametrize("data", WRITERS)
def test_the_command_trains_on_every_scene_dataset(tmp_path: Path, data: str) -> None:
    WRITERS[data](tmp_path)
    out, dataset = tmp_path / "out", find_dataset(data)
    words = ["train", "segment", "--config", str(write_config(tmp_path, data=data)), "--root", str(tmp_path)]
    assert main([*words, "--out", str(out)]) == 0
    with (out / "losses.csv").open(newline="") as file:
        assert len([row for row in csv.reader(file) if row[0].isdigit()]) == 2
    manifest = load_manifest(out / "tiny")
    assert manifest.classes == dataset.classes and manifest.features == dataset.features
    assert (manifest.voxel_size, manifest.sphere_radius) == (dataset.voxel_size, dataset.sphere_radius)
    assert list((tmp_path / "kept" / data).glob("*.npy"))


def test_clips_of_a_scene_hold_its_classes_and_colours(tmp_path: Path) -> None:
    write_s3dis(tmp_path)
    config = SegmentTrainingConfig(data="s3dis", root=str(tmp_path), cache=str(tmp_path / "kept"), prepare_processes=1)
    [clip] = load_clips(config)
    assert clip.colors is not None and clip.colors[0].shape == clip.points[0].shape
    floor = clip.labels[0] == find_dataset("s3dis").classes.index("floor")
    assert np.abs(clip.points[0][floor, 2]).max() < 1e-6 and floor.any()
    assert clip.ground_z.tolist() == [0.0]


def test_the_areas_and_splits_that_are_trained_on_can_be_named(tmp_path: Path) -> None:
    write_s3dis(tmp_path)

    def num_clips(**changes: object) -> int:
        fields = {"data": "s3dis", "root": str(tmp_path), "cache": str(tmp_path / "kept"), "prepare_processes": 1}
        return len(load_clips(SegmentTrainingConfig(**{**fields, **changes})))  # type: ignore[arg-type]

    assert num_clips() == 1 and num_clips(test_area=6) == 2
    assert num_clips(splits=("train", "val")) == 2
    assert num_clips(sequences=("Area_5/office_1",)) == 1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"data": "npm3d"}, "root: got none, expected the folder of npm3d"),
        ({"data": "npm3d", "root": "/nowhere"}, "/nowhere: no such folder, expected that of npm3d"),
        ({"data": "ika", "splits": ["val"]}, "got no cloud of the split val of ika"),
        ({"data": "ika", "splits": ["all"]}, "split: got 'all', expected train, val or test"),
        ({"data": "ika", "splits": []}, "splits: got none"),
        ({"data": "ika", "sequences": ["train/2"]}, "2.npz: expected arrays"),
        ({"data": "kitti360"}, "data: got 'kitti360', expected one of simulator, semantickitti, s3dis"),
        ({"data": "modelnet40"}, "data: got 'modelnet40', expected one of"),
        ({"data": "npm3d", "features": ["one", "red"]}, "features: got red, but points of npm3d have one, height"),
        (
            {"data": "scannet", "features": ["range"]},
            "features: got range, but points of scannet have one, height, red",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, object], told: str
) -> None:
    write_ika(tmp_path)
    root = {} if fields["data"] == "npm3d" else {"root": str(tmp_path)}
    config = write_config(tmp_path, **{**root, **fields})
    assert main(["train", "segment", "--config", str(config), "--out", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err


def test_unlabelled_clouds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    label = np.full(len(POINTS), 10, np.uint8)
    np.savez(tmp_path / "train/1.npz", xyz=POINTS, intensity=label, label=label)
    fields = {"data": "ika", "root": str(tmp_path), "cache": str(tmp_path / "kept"), "prepare_processes": 1}
    with pytest.raises(ValueError, match="got 1 clouds of ika without a labelled point"):
        load_clips(SegmentTrainingConfig(**fields))  # type: ignore[arg-type]


def test_a_config_keeps_what_it_sets() -> None:
    config = SegmentTrainingConfig(data="s3dis", voxel_size=0.05, features=("one",))
    assert (config.voxel_size, config.sphere_radius, config.features) == (0.05, 2.0, ("one",))
    assert SegmentTrainingConfig().features == ("one", "height", "intensity")
    assert (SegmentTrainingConfig().voxel_size, SegmentTrainingConfig().sphere_radius) == (0.2, 10.0)
    with pytest.raises(ConfigError, match="expected one of simulator"):
        SegmentTrainingConfig(data="s3d")
