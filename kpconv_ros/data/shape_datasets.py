# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Readers of the single objects of ModelNet40 and ShapeNetPart as they are published."""

import json
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.hdf5_shapes import count_shapes, read_shape
from kpconv_ros.data.labelled_cloud import DatasetError, LabelledCloud
from kpconv_ros.data.text_tables import read_table

MODELNET_CLASSES = (
    *("airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone", "cup", "curtain"),
    *("desk", "door", "dresser", "flower_pot", "glass_box", "guitar", "keyboard", "lamp", "laptop", "mantel"),
    *("monitor", "night_stand", "person", "piano", "plant", "radio", "range_hood", "sink", "sofa", "stairs", "stool"),
    *("table", "tent", "toilet", "tv_stand", "vase", "wardrobe", "xbox"),
)
SHAPENET_PARTS = {
    "Airplane": ("02691156", 4),
    "Bag": ("02773838", 2),
    "Cap": ("02954340", 2),
    "Car": ("02958343", 4),
    "Chair": ("03001627", 4),
    "Earphone": ("03261776", 3),
    "Guitar": ("03467517", 3),
    "Knife": ("03624134", 2),
    "Lamp": ("03636649", 4),
    "Laptop": ("03642806", 2),
    "Motorbike": ("03790512", 6),
    "Mug": ("03797390", 2),
    "Pistol": ("03948459", 3),
    "Rocket": ("04099429", 3),
    "Skateboard": ("04225987", 3),
    "Table": ("04379243", 3),
}
"""Synset and number of parts of each category; the parts are numbered through, 0 to 49."""
MESH_POINTS = 10_000
"""Points drawn on a mesh that is read by name."""


def modelnet_names(root: Path, split: str) -> list[str]:
    """Return the objects of a split of ModelNet40; "val" is "test", there is no other.

    Of the HDF5 form they are ``ply_data_SPLIT0.h5/ROW``, of the meshes ``CLASS/SPLIT/CLASS_0001``.
    """
    part = "train" if split == "train" else "test"
    files = sorted(root.glob(f"ply_data_{part}*.h5"))
    if files:
        return [f"{path.name}/{row}" for path in files for row in range(count_shapes(path))]
    folders = [root / category / part for category in MODELNET_CLASSES]
    return [f"{folder.parent.name}/{part}/{path.stem}" for folder in folders for path in sorted(folder.glob("*.off"))]


def read_modelnet_object(root: Path, name: str) -> LabelledCloud:
    """Read an object by a name of :func:`modelnet_names`, in the units of its file.

    The HDF5 form holds 1024 or 2048 points of an object; on a mesh ``MESH_POINTS`` are drawn, the same at each reading.

    Raises:
        DatasetError: If there is no such object, or its file is damaged.
    """
    file, _, row = name.rpartition("/")
    if file.endswith(".h5"):
        if not row.isdigit():
            raise DatasetError(f"{name}: got row {row!r}, expected a number")
        points, category = read_shape(root / file, int(row), len(MODELNET_CLASSES))
        return LabelledCloud(points, None, category=category)
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return read_modelnet_mesh(root, name, MESH_POINTS, generator)


def read_modelnet_mesh(root: Path, name: str, num_points: int, generator: np.random.Generator) -> LabelledCloud:
    """Sample points evenly over the surface of ``CLASS/train/CLASS_0001.off``, or of ``test``.

    Args:
        root: Folder of the classes.
        name: Such as ``chair/train/chair_0001``.
        num_points: N.
        generator: Draws the points.

    Raises:
        DatasetError: If the file is missing or no OFF mesh, or its class is unknown.
    """
    category = name.split("/")[0]
    if category not in MODELNET_CLASSES:
        raise DatasetError(f"{name}: got class {category!r}, expected one of {', '.join(MODELNET_CLASSES)}")
    corners = read_off(root / f"{name}.off")
    return LabelledCloud(
        sample_triangles(corners, num_points, generator), None, category=MODELNET_CLASSES.index(category)
    )


def read_off(path: Path) -> NDArray[np.float64]:
    """Read the triangles of an OFF mesh, ``(T, 3, 3)``; the files of ModelNet40 that lack a line break are read too.

    Raises:
        DatasetError: If it is missing or damaged.
    """
    try:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if not text.startswith("OFF"):
        raise DatasetError(f"{path}: expected OFF at its start, got {text[:10]!r}")
    words = text[3:].split()
    try:
        num_vertices, num_faces = int(words[0]), int(words[1])
        vertices = np.array(words[3 : 3 + 3 * num_vertices], np.float64).reshape(num_vertices, 3)
        faces = np.array(words[3 + 3 * num_vertices :][: 4 * num_faces], np.int64).reshape(num_faces, 4)
    except (IndexError, ValueError) as error:
        raise DatasetError(f"{path}: expected vertices and triangles, got something else: {error}") from error
    if num_faces == 0 or not (faces[:, 0] == 3).all() or faces[:, 1:].max() >= num_vertices or faces.min() < 0:
        raise DatasetError(f"{path}: expected triangles between the {num_vertices} vertices")
    corners: NDArray[np.float64] = vertices[faces[:, 1:]]
    return corners


def sample_triangles(
    corners: NDArray[np.float64], num_points: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw points ``(num_points, 3)`` evenly over the surface of triangles ``(T, 3, 3)``."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = np.linalg.norm(np.cross(one, other), axis=1)
    if not areas.sum() > 0:
        raise DatasetError("expected triangles with a surface, got none")
    chosen = generator.choice(len(corners), num_points, p=areas / areas.sum())
    u, v = generator.random((2, num_points, 1))
    folded = u + v > 1  # the far half of the parallelogram
    u, v = np.where(folded, 1 - u, u), np.where(folded, 1 - v, v)
    points: NDArray[np.float32] = (corners[chosen, 0] + u * one[chosen] + v * other[chosen]).astype(np.float32)
    return points


def shapenet_names(root: Path, split: str) -> list[str]:
    """Return the names ``SYNSET/OBJECT`` of a split, "train", "val" or "test", from ``train_test_split``.

    Raises:
        DatasetError: If the list is missing or damaged.
    """
    path = root / "train_test_split" / f"shuffled_{split}_file_list.json"
    try:
        return [entry.removeprefix("shape_data/") for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path}: expected a list of objects: {error}") from error


def read_shapenet_object(root: Path, name: str) -> LabelledCloud:
    """Read ``SYNSET/OBJECT.txt``: x y z, normal, part. Labels are the part plus 1; the category is the object's class.

    Raises:
        DatasetError: If the file is missing, or a part is not one of its category.
    """
    synset = name.split("/")[0]
    categories = [known for known, _ in SHAPENET_PARTS.values()]
    if synset not in categories:
        raise DatasetError(f"{name}: got category {synset!r}, expected one of {', '.join(categories)}")
    table, category = read_table(root / f"{name}.txt", 7, DatasetError), categories.index(synset)
    parts, low = table[:, 6].astype(np.int64), first_part(category)
    high = first_part(category + 1)
    if len(parts) and not (low <= parts.min() and parts.max() < high):
        raise DatasetError(f"{name}: got parts {parts.min()} to {parts.max()}, expected {low} to {high - 1}")
    return LabelledCloud(table[:, :3].astype(np.float32), parts + 1, category=category)


def first_part(category: int) -> int:
    """Return the number of the first part of a category."""
    return sum(count for _, count in list(SHAPENET_PARTS.values())[:category])
