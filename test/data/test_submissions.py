# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Submissions: read back here as the servers read them, by tables of ids typed from the benchmarks' documentation."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from kitti_layout import write_sequence

from kpconv_ros.data import submissions
from kpconv_ros.data.datasets import DATASETS
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.posed_clouds import kitti_names
from kpconv_ros.data.semantic_kitti import map_labels
from kpconv_ros.data.submissions import FORMATS, SubmissionWriter

# learning_map_inv of semantic-kitti.yaml
KITTI_IDS = [0, 10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81]
# VALID_CLASS_IDS of ScanNet's evaluate_semantic_label.py
SCANNET_IDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39]
REDUCED_8 = {
    "MarketplaceFeldkirch_Station4_rgb_intensity-reduced": "marketsquarefeldkirch4-reduced.labels",
    "sg27_station10_rgb_intensity-reduced": "sg27_10-reduced.labels",
    "sg28_Station2_rgb_intensity-reduced": "sg28_2-reduced.labels",
    "StGallenCathedral_station6_rgb_intensity-reduced": "stgallencathedral6-reduced.labels",
}


def write(dataset: str, path: Path, labels: dict[str, np.ndarray]) -> None:
    with SubmissionWriter(dataset, path, list(labels)) as writer:
        for name, values in labels.items():
            writer.add(name, values)


def read_lines(archive: zipfile.ZipFile, name: str) -> list[int]:
    """Read a text file of one number a line as strictly as a server may."""
    text = archive.read(name).decode("ascii")
    assert text.endswith("\n") or not text
    return [int(line) for line in text.splitlines()]


def random_labels(dataset: str, num_points: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, len(FORMATS[dataset].ids), num_points).astype(np.uint8)


def check_kitti_zip(path: Path, root: Path, sequences: list[str]) -> None:
    """Check what the server's own check does: folders as members, and a uint32 for each point of each scan."""
    with zipfile.ZipFile(path) as archive:
        folders = [info.filename for info in archive.infolist() if info.filename.endswith("/")]
        sizes = {info.filename: info.file_size for info in archive.infolist() if not info.filename.endswith("/")}
    assert "sequences/" in folders
    for sequence in sequences:
        assert f"sequences/{sequence}/" in folders and f"sequences/{sequence}/predictions/" in folders
        scans = sorted((root / "sequences" / sequence / "velodyne").glob("*.bin"))
        assert scans
        for scan in scans:
            got = sizes.pop(f"sequences/{sequence}/predictions/{scan.stem}.label")
            assert got / 4 == scan.stat().st_size / 16
    assert not sizes  # nothing else is in it


def test_semantickitti_passes_the_check_of_its_server_and_comes_back(tmp_path: Path) -> None:
    for sequence, num_points in (("11", 7), ("12", 30)):
        write_sequence(tmp_path / "sequences" / sequence, num_scans=2, num_points=num_points)
    names = kitti_names(tmp_path, ["11", "12"])
    assert names == ["11/000000", "11/000001", "12/000000", "12/000001"]
    labels = {name: random_labels("semantickitti", 7 if name < "12" else 30, i) for i, name in enumerate(names)}
    write("semantickitti", tmp_path / "out" / "kitti.zip", labels)
    check_kitti_zip(tmp_path / "out" / "kitti.zip", tmp_path, ["11", "12"])
    with zipfile.ZipFile(tmp_path / "out" / "kitti.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    for name, expected in labels.items():
        sequence, scan = name.split("/")
        raw = np.fromfile(tmp_path / f"unpacked/sequences/{sequence}/predictions/{scan}.label", "<u4")
        assert raw.tolist() == [KITTI_IDS[label] for label in expected]
        np.testing.assert_array_equal(map_labels(raw), expected)


def test_scannet_has_a_text_file_of_nyu_ids_for_each_scene(tmp_path: Path) -> None:
    labels = {"scene0707_00": np.arange(1, 21), "scene0708_00": np.array([20, 0, 1])}
    write("scannet", tmp_path / "scannet.zip", labels)
    with zipfile.ZipFile(tmp_path / "scannet.zip") as archive:
        assert archive.namelist() == ["scene0707_00.txt", "scene0708_00.txt"]
        assert read_lines(archive, "scene0707_00.txt") == SCANNET_IDS
        assert read_lines(archive, "scene0708_00.txt") == [39, 0, 1]


def test_semantic3d_has_the_four_files_of_reduced_8(tmp_path: Path) -> None:
    labels = {name: random_labels("semantic3d", 50, i) for i, name in enumerate(REDUCED_8)}
    write("semantic3d", tmp_path / "s3d.zip", labels)
    with zipfile.ZipFile(tmp_path / "s3d.zip") as archive:
        assert sorted(archive.namelist()) == sorted(REDUCED_8.values())
        for name, file_name in REDUCED_8.items():
            got = read_lines(archive, file_name)
            assert got == labels[name].tolist() and set(got) <= set(range(1, 9))


def test_the_test_split_of_semantic3d_is_what_its_server_asks_for(tmp_path: Path) -> None:
    for name in REDUCED_8:
        (tmp_path / f"{name}.txt").touch()
    assert sorted(DATASETS["semantic3d"].names(tmp_path, "test")) == sorted(REDUCED_8)


def test_npm3d_has_a_text_file_for_each_cloud(tmp_path: Path) -> None:
    labels = {name: random_labels("npm3d", 20, i) for i, name in enumerate(("ajaccio_2", "ajaccio_57", "dijon_9"))}
    write("npm3d", tmp_path / "npm3d.zip", labels)
    with zipfile.ZipFile(tmp_path / "npm3d.zip") as archive:
        assert archive.namelist() == ["ajaccio_2.txt", "ajaccio_57.txt", "dijon_9.txt"]
        for name, expected in labels.items():
            assert read_lines(archive, f"{name}.txt") == expected.tolist()


@pytest.mark.parametrize("dataset", FORMATS)
def test_each_label_of_a_dataset_has_an_id_of_its_own(dataset: str) -> None:
    ids = FORMATS[dataset].ids
    assert len(np.unique(ids)) == len(ids) and ids[0] == 0
    if dataset in DATASETS:
        assert len(ids) == len(DATASETS[dataset].classes)


def test_many_labels_are_written_in_pieces_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "CHUNK", 7)
    labels = random_labels("npm3d", 50)
    write("npm3d", tmp_path / "npm3d.zip", {"dijon_9": labels})
    with zipfile.ZipFile(tmp_path / "npm3d.zip") as archive:
        assert read_lines(archive, "dijon_9.txt") == labels.tolist()


def test_a_zip_that_lacks_a_cloud_is_not_left_behind(tmp_path: Path) -> None:
    with (
        pytest.raises(DatasetError, match="expected labels of dijon_9 too"),
        SubmissionWriter("npm3d", tmp_path / "o.zip", ["ajaccio_2", "dijon_9"]) as writer,
    ):
        writer.add("ajaccio_2", np.ones(3, int))
    with pytest.raises(RuntimeError), SubmissionWriter("npm3d", tmp_path / "o.zip", ["ajaccio_2"]):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("dataset", "file", "names", "told"),
    [
        ("s3dis", "o.zip", ["Area_5/office_1"], "got 's3dis', expected one with a server: semantickitti"),
        ("npm3d", "o.txt", ["dijon_9"], "expected a file that ends in .zip"),
        ("semantic3d", "o.zip", ["sg27_station2_intensity_rgb"], "got 'sg27_station2_intensity_rgb', expected one of"),
        ("semantickitti", "o.zip", ["000001"], "expected one such as 11/000123"),
    ],
)
def test_what_no_server_takes_is_refused(tmp_path: Path, dataset: str, file: str, names: list[str], told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        SubmissionWriter(dataset, tmp_path / file, names)


@pytest.mark.parametrize(
    ("name", "labels", "told"),
    [("dijon_9", [1, 10], "got labels 1 to 10, expected 0 to 9"), ("paris", [1], "got 'paris', expected one of 1")],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, name: str, labels: list[int], told: str) -> None:
    with (
        pytest.raises(DatasetError, match=told),
        SubmissionWriter("npm3d", tmp_path / "o.zip", ["dijon_9"]) as writer,
    ):
        writer.add(name, np.array(labels))
