# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets of single objects in memory."""

from pathlib import Path

import numpy as np
import pytest
from solids import PARTED, SOLIDS, write_modelnet, write_shapenet

from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.shape_datasets import MODELNET_CLASSES, SHAPENET_PARTS
from kpconv_ros.data.shape_sets import load_shape_set


def test_meshes_become_objects_with_a_class(tmp_path: Path) -> None:
    write_modelnet(tmp_path, {"train": 2, "test": 1})
    for splits, count in ((["train"], 2), (["test"], 1), (["train", "test"], 3)):
        found = load_shape_set("modelnet40", tmp_path, splits)
        assert found.classes == MODELNET_CLASSES and found.num_parts == ()
        assert found.labels == ("unlabeled", *MODELNET_CLASSES)
        names = sorted(MODELNET_CLASSES[shape.category] for shape in found.shapes)
        assert names == sorted(count * list(SOLIDS))
        assert all(np.linalg.norm(shape.points, axis=1).max() == pytest.approx(1) for shape in found.shapes)
        assert all(shape.labels is None for shape in found.shapes)


def test_objects_with_parts_keep_theirs(tmp_path: Path) -> None:
    write_shapenet(tmp_path, {"train": 2, "val": 1}, num_points=200)
    found = load_shape_set("shapenetpart", tmp_path, ["train", "val"])
    assert len(found.classes) == len(found.num_parts) == 16 and sum(found.num_parts) == len(found.labels) - 1 == 50
    assert len(found.shapes) == 3 * len(PARTED)
    mug = list(SHAPENET_PARTS).index("Mug")
    mugs = [shape for shape in found.shapes if shape.category == mug]
    assert len(mugs) == 3
    for shape in mugs:
        assert shape.labels is not None and set(shape.labels.tolist()) == {37, 38} and len(shape.points) == 200
    assert (found.labels[37], found.labels[38]) == ("Mug 0", "Mug 1")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=str(tmp_path)):
        load_shape_set("modelnet40", tmp_path, ["train"])
    with pytest.raises(DatasetError, match="splits: expected one or more, got none"):
        load_shape_set("modelnet40", tmp_path, [])
    write_shapenet(tmp_path, {"test": 1}, num_points=50)
    synset = SHAPENET_PARTS["Lamp"][0]
    (tmp_path / synset / "test0.txt").write_text("0 0 nan 0 0 1 24\n")
    with pytest.raises(DatasetError, match=f"{synset}/test0: points: expected one or more, all finite"):
        load_shape_set("shapenetpart", tmp_path, ["test"])
