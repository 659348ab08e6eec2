# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prepared clouds: what they hold, and when they are made again."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from kpconv_ros.data import prepared_clouds
from kpconv_ros.data.datasets import find_dataset
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.prepared_clouds import PreparedCloud, prepare_clouds

IKA, S3DIS = find_dataset("ika"), find_dataset("s3dis")
POINTS = np.array([[0.1, 0.1, 0.0], [0.3, 0.1, 0.2], [0.2, 0.2, 0.4], [5.0, 5.0, 1.0]], np.float32)


def write_view(root: Path, name: str = "a", points: np.ndarray = POINTS, label: object = (2, 2, 0, 10)) -> Path:
    path = root / f"train/{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    intensity = np.arange(len(points), dtype=np.uint8)
    np.savez(path, xyz=points, intensity=intensity, label=np.array(label, np.uint8)[: len(points)])
    return path


def prepare(root: Path, *names: str, cell: float = 1.0, num_processes: int = 1) -> list[PreparedCloud]:
    names = names or ("train/a",)
    return prepare_clouds(IKA, root, names, cell, root / "kept", num_processes)


def files(root: Path) -> list[Path]:
    return sorted((root / "kept/ika").iterdir())


def test_cells_hold_means_and_the_most_frequent_label(tmp_path: Path) -> None:
    write_view(tmp_path)
    [cloud] = prepare(tmp_path)
    np.testing.assert_allclose(cloud.points, [[0.2, 0.4 / 3, 0.2], [5, 5, 1]], atol=1e-6)
    assert cloud.labels.tolist() == [3, 0]  # raw 2 is label 3, raw 10 unlabelled
    np.testing.assert_allclose(cloud.intensity, [1 / 255, 3 / 255], atol=1e-6)
    assert cloud.colors is None
    assert cloud.ground_z == pytest.approx(np.percentile(POINTS[:, 2], 5))


def test_colours_are_means_too(tmp_path: Path) -> None:
    folder = tmp_path / "Area_1/office_1/Annotations"
    folder.mkdir(parents=True)
    (folder / "floor_1.txt").write_text("0.1 0.1 0 10 20 255\n0.2 0.1 0 20 20 255\n3 3 0 1 2 3\n")
    [cloud] = prepare_clouds(S3DIS, tmp_path, ["Area_1/office_1"], 1.0, tmp_path / "kept", 1)
    assert cloud.colors is not None and cloud.colors.tolist() == [[15, 20, 255], [1, 2, 3]]
    assert cloud.labels.tolist() == [S3DIS.classes.index("floor")] * 2


def test_a_second_call_reads_nothing_but_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_view(tmp_path)
    [first] = prepare(tmp_path)
    monkeypatch.setattr(prepared_clouds, "_prepare", lambda task: pytest.fail(f"prepared {task.name} again"))
    [second] = prepare(tmp_path)
    np.testing.assert_array_equal(first.points, second.points)
    assert files(tmp_path)[0].stat().st_mode & 0o777 == 0o644  # other users may read it
    assert first.ground_z == second.ground_z


@pytest.mark.parametrize("what", ["cell", "size", "time", "place"])
def test_another_parameter_or_file_is_prepared_anew(tmp_path: Path, what: str) -> None:
    path, root, cell = write_view(tmp_path), tmp_path, 1.0
    prepare(tmp_path)
    if what == "cell":
        cell = 0.01
    elif what == "size":
        write_view(tmp_path, points=POINTS[:2])
    elif what == "time":
        os.utime(path, (1, 1))
    else:
        root = tmp_path / "moved"
        shutil.copytree(tmp_path / "train", root / "train")
        (tmp_path / "kept").rename(root / "kept")
    [cloud] = prepare(root, cell=cell)
    assert len(files(root)) == 2
    assert len(cloud.points) == {"cell": 4, "size": 1}.get(what, 2)


@pytest.mark.parametrize("spoil", ["cut", "shorter", "empty", "bit", "ground", "length", "header", "other"])
def test_a_damaged_file_is_never_trusted(tmp_path: Path, spoil: str) -> None:
    write_view(tmp_path)
    [whole] = prepare(tmp_path)
    expected = [np.array(column) for column in (whole.points, whole.labels, whole.intensity)]
    [path] = files(tmp_path)
    data = bytearray(path.read_bytes())
    end = len(data)
    if spoil in ("bit", "ground", "length", "header"):
        data[{"bit": end - 30, "ground": end - 16, "length": end - 11, "header": 12}[spoil]] ^= 1
    kept = {"cut": data[: end // 2], "shorter": data[:-1], "empty": b"", "other": b"PK\x03\x04 no array"}
    path.unlink()  # not written over: it is mapped
    path.write_bytes(kept.get(spoil, data))
    [cloud] = prepare(tmp_path)
    for column, values in zip((cloud.points, cloud.labels, cloud.intensity), expected, strict=True):
        np.testing.assert_array_equal(column, values)
    assert cloud.ground_z == whole.ground_z and path.stat().st_size == end


def test_what_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_view(tmp_path)
    monkeypatch.setattr(np, "save", lambda file, table: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare(tmp_path)
    assert files(tmp_path) == []


def test_several_processes_prepare_the_same(tmp_path: Path) -> None:
    names = [f"train/{i}" for i in range(3)]
    for index, name in enumerate(names):
        write_view(tmp_path, Path(name).name, POINTS + index)
    parallel = prepare(tmp_path, *names, num_processes=2)
    stems = [path.name for path in files(tmp_path)]
    shutil.rmtree(tmp_path / "kept")
    for one, other in zip(parallel, prepare(tmp_path, *names), strict=True):
        np.testing.assert_array_equal(one.points, other.points)
    assert [path.name for path in files(tmp_path)] == stems and len(stems) == 3


def test_what_cannot_be_trained_on_is_named(tmp_path: Path) -> None:
    write_view(tmp_path, "empty", POINTS[:0])
    write_view(tmp_path, "wild", label=(2, 2, 0, 77))
    write_view(tmp_path, "holed", POINTS * np.array([1, np.nan, 1], np.float32))
    for name, told in (
        ("empty", "train/empty: got no points"),
        ("wild", r"wild.npz: got class ids \[77\], expected some of \[0, 1"),
        ("holed", "train/holed: points: expected finite"),
        ("absent", "absent.npz: expected arrays"),
    ):
        with pytest.raises(DatasetError, match=told):
            prepare(tmp_path, f"train/{name}")


def test_hidden_labels_are_not_trained_on(tmp_path: Path) -> None:
    (tmp_path / "sg28_Station2_rgb_intensity-reduced.txt").write_text("0 0 0 5 1 2 3\n")
    dataset, names = find_dataset("semantic3d"), ["sg28_Station2_rgb_intensity-reduced"]
    with pytest.raises(DatasetError, match="expected labels to train on, got none"):
        prepare_clouds(dataset, tmp_path, names, 1.0, tmp_path / "kept", 1)
