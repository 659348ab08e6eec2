# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Readers of the scenes of S3DIS, ScanNet, Semantic3D and NPM3D as they are published, one cloud at a time."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.labelled_cloud import DatasetError, LabelledCloud, centered, map_class_ids
from kpconv_ros.data.open3d_files import import_open3d, read_fields
from kpconv_ros.data.text_tables import read_table

S3DIS_CLASSES = (
    *("unlabeled", "ceiling", "floor", "wall", "beam", "column", "window", "door"),
    *("chair", "table", "bookcase", "sofa", "board", "clutter"),
)
SCANNET_CLASSES = (
    *("unlabeled", "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf"),
    *("picture", "counter", "desk", "curtain", "refrigerator", "shower curtain", "toilet", "sink", "bathtub"),
    "otherfurniture",
)
SCANNET_IDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
"""NYU40 id of each class, without the unlabelled one; the other ids are ignored."""
NUM_NYU_IDS = 41
SEMANTIC3D_CLASSES = (
    *("unlabeled", "man-made terrain", "natural terrain", "high vegetation", "low vegetation", "buildings"),
    *("hard scape", "scanning artefacts", "cars"),
)
NPM3D_CLASSES = (
    *("unlabeled", "ground", "building", "pole", "bollard", "trash can", "barrier", "pedestrian", "car", "natural"),
)
INTENSITY_LOW, INTENSITY_HIGH = -2048.0, 2047.0  # of Semantic3D
HIGHEST_REFLECTANCE = 255.0  # of NPM3D


def read_s3dis_room(root: Path, name: str) -> LabelledCloud:
    """Read a room such as ``Area_1/office_3`` from its ``Annotations/CLASS_NUMBER.txt`` files of x y z r g b.

    Raises:
        DatasetError: If there is no such room, an unknown class or a damaged file.
    """
    folder = root / name / "Annotations"
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise DatasetError(f"{folder}: got no *.txt file, expected one for each object of the room")
    tables, labels = [], []
    for path in files:
        kind = path.stem.rsplit("_", 1)[0]
        kind = "clutter" if kind == "stairs" else kind  # of five rooms; the authors' 13 classes have no stairs
        if kind not in S3DIS_CLASSES[1:]:
            raise DatasetError(f"{path}: got class {kind!r}, expected one of {', '.join(S3DIS_CLASSES[1:])}")
        tables.append(read_table(path, 6, DatasetError))
        labels.append(np.full(len(tables[-1]), S3DIS_CLASSES.index(kind), np.int64))
    table = np.concatenate(tables)
    points, origin = centered(table[:, :3])
    colors = (table[:, 3:] / 255).astype(np.float32)
    return LabelledCloud(points, np.concatenate(labels), colors, origin=origin)


def read_scannet_scene(root: Path, name: str) -> LabelledCloud:
    """Read the vertices of ``scans/NAME/NAME_vh_clean_2.ply`` and their NYU40 ids of ``..._2.labels.ply``.

    A scene of ``scans_test`` has no labels.

    Raises:
        DatasetError: If the scene is missing, or the files have not as many vertices.
    """
    folder = next((root / part / name for part in ("scans", "scans_test") if (root / part / name).is_dir()), None)
    if folder is None:
        raise DatasetError(f"{root}: expected the folder scans/{name} or scans_test/{name}, got neither")
    points, colors = read_vertices(_existing(folder / f"{name}_vh_clean_2.ply"))
    labels, truth = None, folder / f"{name}_vh_clean_2.labels.ply"
    if truth.is_file():
        ids = read_fields(truth)["label"]
        if len(ids) != len(points):
            raise DatasetError(f"{truth}: got {len(ids)} vertices, expected {len(points)} as the mesh has")
        known = dict.fromkeys(range(NUM_NYU_IDS), 0) | {raw: i + 1 for i, raw in enumerate(SCANNET_IDS)}
        labels = map_class_ids(ids.astype(np.int64), known, str(truth))
    elif folder.parent.name == "scans":
        raise DatasetError(f"{truth}: expected the labels of a training scene, got no such file")
    return LabelledCloud(points, labels, colors)


def read_semantic3d_cloud(root: Path, name: str) -> LabelledCloud:
    """Read ``NAME.txt`` (x y z intensity r g b) and, but for the hidden test set, ``NAME.labels``.

    Raises:
        DatasetError: If the file is missing or damaged, or there is not a label for each point.
    """
    table = read_table(_existing(root / f"{name}.txt"), 7, DatasetError)
    points, origin = centered(table[:, :3])
    intensity = ((table[:, 3] - INTENSITY_LOW) / (INTENSITY_HIGH - INTENSITY_LOW)).clip(0, 1).astype(np.float32)
    labels, truth = None, root / f"{name}.labels"
    if truth.is_file():
        ids = read_table(truth, 1, DatasetError)[:, 0].astype(np.int64)
        if len(ids) != len(points):
            raise DatasetError(f"{truth}: got {len(ids)} labels, expected {len(points)} as there are points")
        labels = map_class_ids(ids, {i: i for i in range(len(SEMANTIC3D_CLASSES))}, str(truth))
    return LabelledCloud(points, labels, (table[:, 4:] / 255).astype(np.float32), intensity, origin=origin)


def read_npm3d_cloud(root: Path, name: str) -> LabelledCloud:
    """Read ``training_10_classes/NAME.ply`` (x y z scalar reflectance, class) or ``test_10_classes/NAME.ply``.

    Raises:
        DatasetError: If the file is missing or lacks a field.
    """
    places = [root / part / f"{name}.ply" for part in ("training_10_classes", "test_10_classes", ".")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise DatasetError(f"expected the file {places[0]} or {places[1]}, got neither")
    fields = {key.removeprefix("scalar_"): values for key, values in read_fields(path).items()}
    if "reflectance" not in fields:
        raise DatasetError(f"{path}: expected a field reflectance, got {sorted(fields)}")
    labels = None
    if "class" in fields:
        known = {i: i for i in range(len(NPM3D_CLASSES))}
        labels = map_class_ids(fields["class"].astype(np.int64), known, str(path))
    points, origin = centered(np.stack([fields[axis] for axis in "xyz"], axis=1))
    intensity = (fields["reflectance"] / HIGHEST_REFLECTANCE).clip(0, 1).astype(np.float32)
    return LabelledCloud(points, labels, None, intensity, origin=origin)


def read_vertices(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Read the positions ``(N, 3)`` and colours ``(N, 3)`` 0..1 of a PLY mesh's vertices."""
    attributes = import_open3d().t.io.read_point_cloud(str(path)).point
    if "positions" not in attributes:
        raise DatasetError(f"{path}: expected vertices, got none")
    colors = attributes["colors"].numpy().astype(np.float32) / 255 if "colors" in attributes else None
    return attributes["positions"].numpy().astype(np.float32), colors


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    return path
