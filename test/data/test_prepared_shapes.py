# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prepared objects: the same as those read from the published files, and made again when one changes."""

import os
from pathlib import Path

import numpy as np
import pytest
from solids import write_modelnet, write_shapenet

from kpconv_ros.data import prepared_shapes
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.shape_sets import load_shape_set
from kpconv_ros.data.shapes import Shape


def write_hdf5(root: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="needs h5py: pip install -r requirements-train.txt")
    generator = np.random.default_rng(0)
    for number in range(2):
        with h5py.File(root / f"ply_data_train{number}.h5", "w") as file:
            file["data"] = generator.uniform(-1, 1, (3, 20, 3)).astype(np.float32)
            file["label"] = generator.integers(0, 40, (3, 1)).astype(np.uint8)


WRITERS = {
    "meshes": ("modelnet40", lambda root: write_modelnet(root, {"train": 1, "test": 1})),
    "hdf5": ("modelnet40", write_hdf5),
    "parts": ("shapenetpart", lambda root: write_shapenet(root, {"train": 2}, num_points=60)),
}


def same(one: list[Shape], other: list[Shape]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a.points, b.points)
        and a.category == b.category
        and (a.labels is None) == (b.labels is None)
        and (a.labels is None or np.array_equal(a.labels, b.labels))
        for a, b in zip(one, other)
    )


@pytest.mark.parametrize("form", WRITERS)
def test_prepared_objects_are_those_of_the_published_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    data, write = WRITERS[form]
    write(tmp_path)
    monkeypatch.setattr(prepared_shapes, "CHUNK", 4)
    read = load_shape_set(data, tmp_path, ["train"])  # type: ignore[arg-type]
    first = load_shape_set(data, tmp_path, ["train"], tmp_path / "kept", 1)  # type: ignore[arg-type]
    assert same(first.shapes, read.shapes) and first[:3] == read[:3] and len(read.shapes) > 4
    files = sorted((tmp_path / "kept" / data).iterdir())
    assert len(files) == -(-len(read.shapes) // 4)
    monkeypatch.setattr(prepared_shapes, "_prepare", lambda task: pytest.fail(f"prepared {task.names} again"))
    again = load_shape_set(data, tmp_path, ["train"], tmp_path / "kept", 1)  # type: ignore[arg-type]
    assert same(again.shapes, read.shapes)


@pytest.mark.parametrize("form", WRITERS)
def test_only_the_chunk_of_a_changed_file_is_prepared_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    data, write = WRITERS[form]
    write(tmp_path)
    monkeypatch.setattr(prepared_shapes, "CHUNK", 3)
    load_shape_set(data, tmp_path, ["train"], tmp_path / "kept", 1)  # type: ignore[arg-type]
    before = set((tmp_path / "kept" / data).iterdir())
    pattern = {"meshes": "*/train/*.off", "hdf5": "*train1.h5", "parts": "0*/train1.txt"}[form]
    os.utime(sorted(tmp_path.glob(pattern))[-1], (1, 1))
    load_shape_set(data, tmp_path, ["train"], tmp_path / "kept", 1)  # type: ignore[arg-type]
    assert len(set((tmp_path / "kept" / data).iterdir()) - before) == 1 < len(before)


def test_several_processes_prepare_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shapenet(tmp_path, {"train": 2}, num_points=60)
    monkeypatch.setattr(prepared_shapes, "CHUNK", 4)
    found = load_shape_set("shapenetpart", tmp_path, ["train"], tmp_path / "kept", 2)
    assert same(found.shapes, load_shape_set("shapenetpart", tmp_path, ["train"]).shapes)


def test_a_damaged_object_is_named(tmp_path: Path) -> None:
    write_shapenet(tmp_path, {"test": 1}, num_points=50)
    path = sorted(tmp_path.glob("0*/test0.txt"))[0]
    first_part = path.read_text().split()[6]
    path.write_text(f"0 0 nan 0 0 1 {first_part}\n")
    with pytest.raises(DatasetError, match=f"{path.parent.name}/test0: points: expected one or more, all finite"):
        load_shape_set("shapenetpart", tmp_path, ["test"], tmp_path / "kept", 1)
    assert not list((tmp_path / "kept").rglob("*.npy"))
