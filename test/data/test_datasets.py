# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Public datasets: tiny folders in their published formats, written here and read back."""

import json
from pathlib import Path

import numpy as np
import pytest

from kpconv_ros.data.class_colors import spread_colors
from kpconv_ros.data.datasets import DATASETS, find_dataset
from kpconv_ros.data.hdf5_shapes import read_shapes
from kpconv_ros.data.labelled_cloud import DatasetError, LabelledCloud, centered
from kpconv_ros.data.open3d_files import write_fields
from kpconv_ros.data.scene_datasets import NUM_NYU_IDS, SCANNET_IDS
from kpconv_ros.data.scene_splits import s3dis_names
from kpconv_ros.data.shape_datasets import (
    MESH_POINTS,
    MODELNET_CLASSES,
    SHAPENET_PARTS,
    first_part,
    read_modelnet_mesh,
    read_off,
    sample_triangles,
)

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(-5, 5, (6, 3)).round(3).astype(np.float32)
COLORS = RNG.integers(0, 256, (6, 3))
FAR = np.array([363_000.0, 6_500_000.0, 40.0])


def write_s3dis(root: Path) -> None:
    for area in range(1, 7):
        folder = root / f"Area_{area}" / "office_1" / "Annotations"
        folder.mkdir(parents=True)
        np.savetxt(folder / "chair_1.txt", np.hstack([POINTS[:2], COLORS[:2]]), fmt="%.3f")
        np.savetxt(folder / "wall_12.txt", np.hstack([POINTS[2:5], COLORS[2:5]]), fmt="%.3f")
        np.savetxt(folder / "stairs_1.txt", np.hstack([POINTS[5:], COLORS[5:]]), fmt="%.3f")


def write_ply(path: Path, points: np.ndarray, **columns: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colors = columns.pop("colors", None)
    write_fields(path, points, columns, colors)


def write_scannet(root: Path) -> None:
    colors = COLORS.astype(np.uint8)
    write_ply(root / "scans/scene0000_00/scene0000_00_vh_clean_2.ply", POINTS, colors=colors)
    ids = np.array([0, 1, 39, 13, 40, 14], np.uint16)
    write_ply(root / "scans/scene0000_00/scene0000_00_vh_clean_2.labels.ply", POINTS, label=ids)
    write_ply(root / "scans_test/scene0707_00/scene0707_00_vh_clean_2.ply", POINTS, colors=colors)
    (root / "scannetv2_train.txt").write_text("scene0000_00\nscene0001_00\n")
    (root / "scannetv2_test.txt").write_text("scene0707_00\n")


def write_semantic3d(root: Path) -> None:
    intensity = np.array([[-2048, 2047, 0, -1000, 1000, -500]]).T
    for name in ("sg27_station1_intensity_rgb", "sg28_Station2_rgb_intensity-reduced"):
        np.savetxt(root / f"{name}.txt", np.hstack([POINTS, intensity, COLORS]), fmt="%.3f")
    np.savetxt(root / "sg27_station1_intensity_rgb.labels", [0, 1, 8, 3, 4, 5], fmt="%d")


def write_npm3d(root: Path) -> None:
    reflectance = np.array([0, 255, 51, 102, 153, 204], np.float32)
    truth = {"scalar_class": np.array([0, 9, 1, 2, 3, 8], np.int32)}
    far = POINTS + FAR
    write_ply(root / "training_10_classes/Lille2.ply", far, scalar_reflectance=reflectance, **truth)
    write_ply(root / "test_10_classes/ajaccio_2.ply", far, scalar_reflectance=reflectance)


def write_shapenet(root: Path) -> None:
    parts = np.array([[12, 15, 13, 14, 12, 15]]).T  # of a chair
    (root / "03001627").mkdir()
    np.savetxt(root / "03001627/abc.txt", np.hstack([POINTS, POINTS, parts]), fmt="%.6f")
    (root / "train_test_split").mkdir()
    (root / "train_test_split/shuffled_train_file_list.json").write_text(json.dumps(["shape_data/03001627/abc"]))


def write_ika(root: Path) -> None:
    (root / "train").mkdir()
    ids, intensity = np.array([0, 10, 9, 3, 4, 5], np.uint8), np.array([0, 255, 51, 1, 2, 3], np.uint8)
    np.savez(root / "train/123.npz", xyz=POINTS, intensity=intensity, label=ids)


SHAPES = RNG.uniform(-1, 1, (3, 6, 3)).astype(np.float32)


def write_modelnet(root: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="needs h5py: pip install -r requirements-train.txt")
    for name, rows, ids in (
        ("train0", SHAPES[:2], [[8], [39]]),
        ("train1", SHAPES[2:], [[0]]),
        ("test0", SHAPES, [[1]] * 3),
    ):
        with h5py.File(root / f"ply_data_{name}.h5", "w") as file:
            file["data"], file["label"] = rows, np.array(ids, np.uint8)
            file["normal"] = rows
    (root / "shape_names.txt").write_text("\n".join(MODELNET_CLASSES))


WRITERS = {
    "s3dis": write_s3dis,
    "scannet": write_scannet,
    "semantic3d": write_semantic3d,
    "npm3d": write_npm3d,
    "modelnet40": write_modelnet,
    "shapenetpart": write_shapenet,
    "ika": write_ika,
}
TRAIN = {
    "s3dis": ([f"Area_{area}/office_1" for area in (1, 2, 3, 4, 6)], [8, 8, 13, 3, 3, 3]),
    "scannet": (["scene0000_00"], [0, 1, 20, 0, 0, 13]),
    "semantic3d": (["sg27_station1_intensity_rgb"], [0, 1, 8, 3, 4, 5]),
    "npm3d": (["Lille2"], [0, 9, 1, 2, 3, 8]),
    "shapenetpart": (["03001627/abc"], [13, 16, 14, 15, 13, 16]),
    "ika": (["train/123"], [1, 0, 10, 4, 5, 6]),
}
HIDDEN = {"scannet": "scene0707_00", "semantic3d": "sg28_Station2_rgb_intensity-reduced", "npm3d": "ajaccio_2"}


@pytest.fixture
def folder_of(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Writes a dataset and returns its folder."""

    def write(name: str) -> Path:
        WRITERS[name](tmp_path)
        return tmp_path

    return write


def positions_of(cloud: LabelledCloud) -> np.ndarray:
    return cloud.points.astype(np.float64) + np.array(cloud.origin)


@pytest.mark.parametrize("name", TRAIN)
def test_what_is_written_in_the_published_format_is_read_back(folder_of, name: str) -> None:  # type: ignore[no-untyped-def]
    root, dataset = folder_of(name), find_dataset(name)
    names, labels = TRAIN[name]
    assert dataset.names(root, "train") == names
    cloud = dataset.read(root, names[0])
    order = [0, 1, 5, 2, 3, 4] if name == "s3dis" else list(range(6))  # objects come by name: chair, stairs, wall
    expected = POINTS[order] + (FAR if name == "npm3d" else 0)
    np.testing.assert_allclose(positions_of(cloud), expected, atol=1e-3)
    assert cloud.points.dtype == np.float32 and cloud.labels is not None
    assert cloud.labels.tolist() == labels and max(labels) < len(dataset.classes)
    assert (cloud.colors is not None) == ("color" in dataset.attributes)
    assert (cloud.intensity is not None) == ("intensity" in dataset.attributes)
    if cloud.colors is not None:
        np.testing.assert_allclose(cloud.colors, COLORS[order] / 255, atol=1e-3)
    if cloud.intensity is not None:
        assert cloud.intensity[0] == 0 and cloud.intensity[1] == 1 and cloud.intensity.min() >= 0


@pytest.mark.parametrize(("name", "cloud"), HIDDEN.items())
def test_a_hidden_test_set_has_no_labels(folder_of, name: str, cloud: str) -> None:  # type: ignore[no-untyped-def]
    root, dataset = folder_of(name), find_dataset(name)
    assert dataset.names(root, "test") == [cloud]
    assert dataset.read(root, cloud).labels is None


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_colours_and_the_paper_sphere(name: str) -> None:
    dataset = DATASETS[name]
    assert np.shape(dataset.colors) == (len(dataset.classes), 3) and dataset.colors[0] == (0, 0, 0)
    assert len(set(dataset.colors)) == len(dataset.classes) and np.max(dataset.colors) <= 255
    assert dataset.sphere_radius == pytest.approx(50 * dataset.voxel_size)


@pytest.mark.parametrize(
    ("name", "colors"),
    [
        ("s3dis", {"ceiling": (0, 255, 0), "chair": (255, 0, 0), "sofa": (200, 100, 100), "clutter": (50, 50, 50)}),
        ("scannet", {"wall": (174, 199, 232), "toilet": (44, 160, 44), "otherfurniture": (82, 84, 163)}),
        ("semantic3d", {"natural terrain": (0, 70, 0), "buildings": (255, 0, 0), "cars": (255, 8, 127)}),
        ("ika", {"road": (128, 64, 128), "two-wheeler": (255, 0, 0), "bus": (0, 60, 100)}),
        ("shapenetpart", {"Airplane 0": (166, 242, 13), "Laptop 0": (242, 242, 242), "Table 2": (89, 13, 166)}),
    ],
)
def test_colours_are_the_published_ones(name: str, colors: dict[str, tuple[int, int, int]]) -> None:
    dataset = DATASETS[name]
    assert {known: dataset.colors[dataset.classes.index(known)] for known in colors} == colors


def test_colours_that_nobody_published_are_always_the_same() -> None:
    assert DATASETS["npm3d"].colors == spread_colors(10) == spread_colors(41)[:10]
    assert spread_colors(3) == ((0, 0, 0), (0, 74, 255), (104, 178, 0))


@pytest.mark.parametrize("name", DATASETS)
def test_a_wrong_folder_or_split_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=str(tmp_path)):
        DATASETS[name].names(tmp_path, "train")
    with pytest.raises(DatasetError, match="got 'all', expected train, val or test"):
        DATASETS[name].names(tmp_path, "all")
    with pytest.raises(DatasetError, match="nowhere|no such|expected"):
        DATASETS[name].read(tmp_path, "nowhere")


def test_every_area_is_the_test_area_once(tmp_path: Path) -> None:
    write_s3dis(tmp_path)
    tested = [s3dis_names(tmp_path, "test", area) for area in range(1, 7)]
    assert tested == [[f"Area_{area}/office_1"] for area in range(1, 7)]
    for area in range(1, 7):
        assert len(s3dis_names(tmp_path, "train", area)) == 5
    with pytest.raises(DatasetError, match="got 7, expected 1 to 6"):
        s3dis_names(tmp_path, "test", 7)


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.folds])
def test_every_cloud_is_tested_in_one_fold_and_trained_on_in_the_others(folder_of, name: str) -> None:  # type: ignore[no-untyped-def]
    root, dataset = folder_of(name), find_dataset(name)
    folds = [dataset.fold(fold) for fold in dataset.folds]
    tested = [cloud for fold in folds for cloud in fold.names(root, "test")]
    assert len(tested) == len(set(tested)) == len(folds) > 1
    for fold in folds:
        assert sorted(fold.names(root, "train") + fold.names(root, "test")) == sorted(tested)


def test_an_unknown_fold_is_named() -> None:
    with pytest.raises(DatasetError, match="fold: got 'Area_7', expected one of Area_1, Area_2"):
        find_dataset("s3dis").fold("Area_7")
    with pytest.raises(DatasetError, match="expected one of none, as npm3d has no published ones"):
        find_dataset("npm3d").fold("Area_1")


@pytest.mark.parametrize(
    ("name", "spoil", "told"),
    [
        ("s3dis", lambda r: (r / "Area_1/office_1/Annotations/dog_1.txt").write_text("1 2 3 4 5 6"), "class 'dog'"),
        ("s3dis", lambda r: (r / "Area_1/office_1/Annotations/chair_1.txt").write_text("1 2 3"), "got 3 numbers"),
        ("s3dis", lambda r: (r / "Area_1/office_1/Annotations/chair_1.txt").write_text("1 2 x"), "numbers a line"),
        ("semantic3d", lambda r: (r / "sg27_station1_intensity_rgb.labels").write_text("1\n2\n"), "got 2 labels"),
        ("semantic3d", lambda r: (r / "sg27_station1_intensity_rgb.labels").write_text("9\n" * 6), r"class ids \[9\]"),
        ("scannet", lambda r: next(r.rglob("*labels.ply")).unlink(), "expected the labels of a training scene"),
        ("shapenetpart", lambda r: (r / "03001627/abc.txt").write_text("0 0 0 0 0 1 30"), "got parts 30 to 30"),
        ("ika", lambda r: np.savez(r / "train/123.npz", xyz=POINTS), "expected arrays xyz, intensity and label"),
    ],
)
def test_spoilt_files_are_named(folder_of, name: str, spoil, told: str) -> None:  # type: ignore[no-untyped-def]
    root, dataset = folder_of(name), find_dataset(name)
    spoil(root)
    with pytest.raises(DatasetError, match=told):
        dataset.read(root, TRAIN[name][0][0])


def test_scannet_knows_every_nyu_id() -> None:
    assert len(SCANNET_IDS) == 20 and set(SCANNET_IDS) <= set(range(NUM_NYU_IDS))


def test_shapenet_has_fifty_parts_and_modelnet_forty_classes() -> None:
    assert first_part(len(SHAPENET_PARTS)) == 50 and len(DATASETS["shapenetpart"].classes) == 51
    assert len(set(MODELNET_CLASSES)) == 40


def test_modelnet_is_read_from_its_hdf5_files(folder_of) -> None:  # type: ignore[no-untyped-def]
    root, dataset = folder_of("modelnet40"), find_dataset("modelnet40")
    names = dataset.names(root, "train")
    assert names == ["ply_data_train0.h5/0", "ply_data_train0.h5/1", "ply_data_train1.h5/0"]
    assert dataset.names(root, "test") == dataset.names(root, "val") == [f"ply_data_test0.h5/{i}" for i in range(3)]
    for name, points, label in zip(names, SHAPES, ("chair", "xbox", "airplane")):
        cloud = dataset.read(root, name)
        np.testing.assert_array_equal(cloud.points, points)
        assert cloud.labels is None and cloud.category is not None
        assert dataset.classes[cloud.category + 1] == label
    points, ids = read_shapes(root / "ply_data_train0.h5", 40)
    np.testing.assert_array_equal(points, SHAPES[:2])
    assert ids.tolist() == [8, 39]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ply_data_train1.h5/1", "got row 1, expected 0 to 0"),
        ("ply_data_train0.h5/x", "got row 'x', expected a number"),
        ("ply_data_train7.h5/0", "no such file"),
        ("shape_names.h5/0", "expected the datasets data and label"),
        ("flat.h5/0", r"got data \(6, 3\) and label \(1,\)"),
        ("wild.h5/0", r"got class ids \[40\], expected 0 to 39"),
    ],
)
def test_spoilt_hdf5_files_are_named(folder_of, name: str, told: str) -> None:  # type: ignore[no-untyped-def]
    import h5py

    root = folder_of("modelnet40")
    (root / "shape_names.h5").write_text("no HDF5")
    for file_name, points, ids in (("flat", SHAPES[0], [1]), ("wild", SHAPES[:1], [40])):
        with h5py.File(root / f"{file_name}.h5", "w") as file:
            file["data"], file["label"] = points, ids
    with pytest.raises(DatasetError, match=told):
        find_dataset("modelnet40").read(root, name)


def test_modelnet_meshes_are_read_where_there_is_no_hdf5_file(tmp_path: Path) -> None:
    path = tmp_path / "chair/test/chair_0900.off"
    path.parent.mkdir(parents=True)
    path.write_text("OFF\n" + SQUARES)
    dataset = find_dataset("modelnet40")
    assert dataset.names(tmp_path, "test") == ["chair/test/chair_0900"]
    one, same = (dataset.read(tmp_path, "chair/test/chair_0900") for _ in range(2))
    np.testing.assert_array_equal(one.points, same.points)
    assert len(one.points) == MESH_POINTS and one.category == MODELNET_CLASSES.index("chair")


SQUARES = "4 3 0\n0 0 0\n1 0 0\n1 1 0\n0 0 9\n3 0 1 2\n3 0 0 0\n3 0 1 2\n"


@pytest.mark.parametrize("head", ["OFF\n", "OFF"])  # some files lack the line break
def test_points_are_sampled_over_the_triangles_of_a_mesh(tmp_path: Path, head: str) -> None:
    path = tmp_path / "chair/train/chair_0001.off"
    path.parent.mkdir(parents=True)
    path.write_text(head + SQUARES)
    assert read_off(path).shape == (3, 3, 3)
    cloud = read_modelnet_mesh(tmp_path, "chair/train/chair_0001", 4000, np.random.default_rng(0))
    assert cloud.category == MODELNET_CLASSES.index("chair") and cloud.labels is None
    x, y, z = cloud.points.T
    assert (z == 0).all() and (y <= x + 1e-6).all() and y.min() >= 0 and x.max() <= 1
    assert cloud.points.mean(axis=0) == pytest.approx([2 / 3, 1 / 3, 0], abs=0.02)


def test_large_triangles_get_more_points() -> None:
    flat = np.array([[[0, 0, 0], [3, 0, 0], [0, 3, 0]], [[10, 0, 0], [11, 0, 0], [10, 1, 0]]], float)
    points = sample_triangles(flat, 5000, np.random.default_rng(0))
    assert (points[:, 0] < 5).mean() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    ("text", "told"),
    [("PLY", "expected OFF"), ("OFF\n4 1 0\n0 0", "expected vertices"), ("OFF\n1 1 0\n0 0 0\n3 0 1 2", "triangles")],
)
def test_what_is_no_mesh_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "cup/test/cup_0001.off"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DatasetError, match=told):
        read_modelnet_mesh(tmp_path, "cup/test/cup_0001", 10, np.random.default_rng(0))
    with pytest.raises(DatasetError, match="got class 'mug'"):
        read_modelnet_mesh(tmp_path, "mug/test/mug_0001", 10, np.random.default_rng(0))


def test_coordinates_far_from_the_origin_keep_their_millimetres() -> None:
    points, origin = centered(POINTS + FAR)
    np.testing.assert_allclose(points + np.array(origin), POINTS + FAR, atol=1e-3)
    assert centered(POINTS)[1] == (0, 0, 0)


def test_the_real_views_of_another_sensor_are_read(data_dir: Path) -> None:
    dataset = find_dataset("ika")
    names = [*dataset.names(data_dir / "ika_vlp32", "train"), *dataset.names(data_dir / "ika_vlp32", "val")]
    counts = np.zeros(len(dataset.classes), int)
    for name in names:
        cloud = dataset.read(data_dir / "ika_vlp32", name)
        assert len(cloud.points) == len(cloud.labels) > 1000  # type: ignore[arg-type]
        counts += np.bincount(cloud.labels, minlength=len(counts))  # type: ignore[arg-type]
    assert len(names) == 35 and counts[1] > counts[2] > counts[4] > 0  # road, sidewalk, pole
