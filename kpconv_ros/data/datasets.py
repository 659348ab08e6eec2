# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The public datasets that the papers use: one table of what differs between them, and readers by name.

Sphere radii are 50 cells of the first level (Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.2), cells
those of the paper or of the authors' code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from kpconv_ros.data.class_colors import (
    IKA_COLORS,
    S3DIS_COLORS,
    SCANNET_COLORS,
    SEMANTIC3D_COLORS,
    SHAPENET_PART_COLORS,
    Colors,
    spread_colors,
)
from kpconv_ros.data.labelled_cloud import DatasetError, LabelledCloud, map_class_ids
from kpconv_ros.data.scene_datasets import (
    NPM3D_CLASSES,
    S3DIS_CLASSES,
    SCANNET_CLASSES,
    SEMANTIC3D_CLASSES,
    read_npm3d_cloud,
    read_s3dis_room,
    read_scannet_scene,
    read_semantic3d_cloud,
)
from kpconv_ros.data.scene_splits import NUM_AREAS, npm3d_names, s3dis_names, scannet_names, semantic3d_names
from kpconv_ros.data.shape_datasets import (
    MODELNET_CLASSES,
    SHAPENET_PARTS,
    modelnet_names,
    read_modelnet_object,
    read_shapenet_object,
    shapenet_names,
)

IKA_CLASSES = (
    *("unlabeled", "road", "sidewalk", "building", "pole", "vegetation", "person", "two-wheeler"),
    *("car", "truck", "bus"),
)
IKA_UNLABELLED = 10  # raw id
Names = Callable[[Path, str], list[str]]
Read = Callable[[Path, str], LabelledCloud]


@dataclass(frozen=True)
class Dataset:
    """What differs between datasets."""

    name: str
    task: Literal["segmentation", "classification", "parts"]
    """What is labelled: the points of scenes, whole objects (``LabelledCloud.category``), or both."""
    classes: tuple[str, ...]
    """The first is that of what is unlabelled, which no network predicts; category c is ``classes[c + 1]`` where whole
    objects are classified."""
    voxel_size: float
    """Cell of the first level, metres (objects: in the unit sphere)."""
    features: tuple[str, ...]
    """Input features of a network by default, of :data:`kpconv_ros.mapping.features.FEATURE_NAMES`."""
    attributes: tuple[str, ...]
    """What a point has beside its position: "color", "intensity", "range" (the sensor stands at the origin)."""
    split_names: Names
    """Names of the clouds of a split, "train", "val" or "test", in a folder."""
    read: Read
    """Reads a cloud by its name."""
    sources: tuple[str, ...] = ()
    """Patterns of the files of a cloud, by its name and folder: when one changes, what was prepared is out of date."""
    licence: str = ""
    """What holds for weights trained on it; empty: the terms of its authors."""
    published_colors: Colors = ()
    """Red, green, blue of each class as :mod:`kpconv_ros.data.class_colors` has them; empty if nobody published any."""
    folds: Mapping[str, Names] = field(default_factory=dict)
    """Splits of each fold of the published cross validation, by its name; empty if there is none."""

    @property
    def sphere_radius(self) -> float:
        """Metres."""
        return 50 * self.voxel_size

    @property
    def colors(self) -> Colors:
        """A colour for each class, black for the unlabelled one: published, or else far apart."""
        return self.published_colors or spread_colors(len(self.classes))

    def names(self, root: Path, split: str) -> list[str]:
        """Return the names of a split.

        Raises:
            DatasetError: On an unknown split, or none of it in ``root``.
        """
        if not root.is_dir():
            raise DatasetError(f"{root}: no such folder, expected that of {self.name}")
        if split not in ("train", "val", "test"):
            raise DatasetError(f"split: got {split!r}, expected train, val or test")
        found = self.split_names(root, split)
        if not found:
            raise DatasetError(f"{root}: got no cloud of the split {split} of {self.name}")
        return found

    def files(self, root: Path, name: str) -> list[Path]:
        """Return the files of a cloud."""
        folder = name.rpartition("/")[0]
        patterns = [pattern.format(name=name, folder=folder) for pattern in self.sources]
        return [path for pattern in patterns if pattern for path in sorted(root.glob(pattern)) if path.is_file()]

    def fold(self, name: str) -> "Dataset":
        """Return the dataset with the splits of a fold: "train", and as "val" and "test" what is left out.

        Raises:
            DatasetError: Naming the folds that there are.
        """
        if name not in self.folds:
            known = ", ".join(self.folds) or f"none, as {self.name} has no published ones"
            raise DatasetError(f"fold: got {name!r}, expected one of {known}")
        return replace(self, split_names=self.folds[name])


def find_dataset(name: str, test_area: int = 5) -> Dataset:
    """Return a dataset of the table.

    Args:
        name: Of the dataset.
        test_area: Area of S3DIS that its "val" and "test" are; the six give the 6-fold split.

    Raises:
        DatasetError: Naming those that are there.
    """
    if name not in DATASETS:
        raise DatasetError(f"dataset: got {name!r}, expected one of {', '.join(DATASETS)}")
    return DATASETS[name].fold(f"Area_{test_area}") if name == "s3dis" else DATASETS[name]


def ika_names(root: Path, split: str) -> list[str]:
    """Return the views ``train/STAMP`` or ``val/STAMP``; "test" is "val"."""
    part = "train" if split == "train" else "val"
    return [f"{part}/{path.stem}" for path in sorted((root / part).glob("*.npz"))]


def read_ika_view(root: Path, name: str) -> LabelledCloud:
    """Read a view ``NAME.npz`` of a VLP-32C: arrays ``xyz``, ``intensity`` (uint8) and ``label``.

    Raises:
        DatasetError: If the file is missing or lacks one of them.
    """
    path = root / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            points, intensity, ids = (arrays[key] for key in ("xyz", "intensity", "label"))
    except (OSError, KeyError, ValueError) as error:
        raise DatasetError(f"{path}: expected arrays xyz, intensity and label: {error}") from error
    known = {i: i + 1 for i in range(len(IKA_CLASSES) - 1)} | {IKA_UNLABELLED: 0}
    labels = map_class_ids(ids.astype(np.int64), known, str(path))
    return LabelledCloud(points.astype(np.float32), labels, None, intensity.astype(np.float32) / 255)


SHAPENET_CLASSES = (
    "unlabeled",
    *(f"{name} {part}" for name, (_, count) in SHAPENET_PARTS.items() for part in range(count)),
)

COLOR = ("red", "green", "blue")
DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "s3dis",
            "segmentation",
            S3DIS_CLASSES,
            0.04,
            ("one", *COLOR, "height"),
            ("color",),
            s3dis_names,
            read_s3dis_room,
            ("{name}/Annotations/*.txt",),
            published_colors=S3DIS_COLORS,
            folds={f"Area_{area}": partial(s3dis_names, test_area=area) for area in range(1, NUM_AREAS + 1)},
        ),
        Dataset(
            "scannet",
            "segmentation",
            SCANNET_CLASSES,
            0.04,
            ("one", *COLOR, "height"),
            ("color",),
            scannet_names,
            read_scannet_scene,
            ("scans*/{name}/{name}_vh_clean_2*.ply",),
            published_colors=SCANNET_COLORS,
        ),
        Dataset(
            "semantic3d",
            "segmentation",
            SEMANTIC3D_CLASSES,
            0.06,
            ("one", *COLOR),
            ("color", "intensity"),
            semantic3d_names,
            read_semantic3d_cloud,
            ("{name}.txt", "{name}.labels"),
            published_colors=SEMANTIC3D_COLORS,
        ),
        Dataset(
            "npm3d",
            "segmentation",
            NPM3D_CLASSES,
            0.06,
            ("one",),
            ("intensity",),
            npm3d_names,
            read_npm3d_cloud,
            ("*/{name}.ply", "{name}.ply"),
        ),
        Dataset(
            "ika",
            "segmentation",
            IKA_CLASSES,
            0.2,
            ("one", "height", "intensity", "range"),
            ("intensity", "range"),
            ika_names,
            read_ika_view,
            ("{name}.npz",),
            "MIT (trained on the ika VLP-32C views)",
            IKA_COLORS,
        ),
        Dataset(
            "modelnet40",
            "classification",
            ("unlabeled", *MODELNET_CLASSES),
            0.02,
            ("one",),
            (),
            modelnet_names,
            read_modelnet_object,
            ("{name}.off", "{folder}"),  # in the HDF5 form the folder is the file
        ),
        Dataset(
            "shapenetpart",
            "parts",
            SHAPENET_CLASSES,
            0.02,
            ("one",),
            (),
            shapenet_names,
            read_shapenet_object,
            ("{name}.txt",),
            published_colors=SHAPENET_PART_COLORS,
        ),
    )
}
