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
from numpy.typing import NDArray

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
NUM_AREAS = 6  # of S3DIS
SEMANTIC3D_TRAIN = (
    *("bildstein_station1_xyz_intensity_rgb", "bildstein_station3_xyz_intensity_rgb"),
    *("bildstein_station5_xyz_intensity_rgb", "domfountain_station1_xyz_intensity_rgb"),
    *("domfountain_station2_xyz_intensity_rgb", "domfountain_station3_xyz_intensity_rgb"),
    *("neugasse_station1_xyz_intensity_rgb", "sg27_station1_intensity_rgb", "sg27_station2_intensity_rgb"),
    *("sg27_station4_intensity_rgb", "sg27_station5_intensity_rgb", "sg27_station9_intensity_rgb"),
    *("sg28_station4_intensity_rgb", "untermaederbrunnen_station1_xyz_intensity_rgb"),
    "untermaederbrunnen_station3_xyz_intensity_rgb",
)
SEMANTIC3D_VALIDATION = ("bildstein_station3_xyz_intensity_rgb", "sg27_station2_intensity_rgb")
"""Held back from training: two of fifteen stations."""
SEMANTIC3D_REDUCED_TEST = (
    *("MarketplaceFeldkirch_Station4_rgb_intensity-reduced", "sg27_station10_rgb_intensity-reduced"),
    *("sg28_Station2_rgb_intensity-reduced", "StGallenCathedral_station6_rgb_intensity-reduced"),
)
NPM3D_SPLITS = {
    "train": ("Lille1_1", "Lille2", "Paris"),
    "val": ("Lille1_2",),
    "test": ("ajaccio_2", "ajaccio_57", "dijon_9"),
}
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
    folds: Mapping[str, Names] = field(default_factory=dict)
    """Splits of each fold of the published cross validation, by its name; empty if there is none."""

    @property
    def sphere_radius(self) -> float:
        """Metres."""
        return 50 * self.voxel_size

    @property
    def colors(self) -> NDArray[np.uint8]:
        """A colour for each class, ``(C + 1, 3)``, black for the unlabelled one, the others far apart."""
        hues = np.arange(len(self.classes)) * 0.618034 % 1
        channels = np.clip(np.abs((hues[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
        channels *= np.where(np.arange(len(self.classes)) % 2, 1.0, 0.7)[:, None]
        channels[0] = 0
        colors: NDArray[np.uint8] = (channels * 255).round().astype(np.uint8)
        return colors

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


def s3dis_names(root: Path, split: str, test_area: int = 5) -> list[str]:
    """Return the rooms of the six areas but one to train on, of that one for "val" and "test" (6-fold: each in turn).

    Raises:
        DatasetError: If there is no such area.
    """
    if not 1 <= test_area <= NUM_AREAS:
        raise DatasetError(f"test_area: got {test_area}, expected 1 to {NUM_AREAS}")
    areas = [area for area in range(1, NUM_AREAS + 1) if (area == test_area) == (split != "train")]
    return [
        f"Area_{area}/{room.name}"
        for area in areas
        for room in sorted((root / f"Area_{area}").glob("*"))
        if (room / "Annotations").is_dir()
    ]


def scannet_names(root: Path, split: str) -> list[str]:
    """Return the scenes that ``scannetv2_SPLIT.txt`` of the authors lists, as far as they are in ``root``."""
    path = root / f"scannetv2_{split}.txt"
    if not path.is_file():
        raise DatasetError(f"{path}: expected the authors' list of scenes, got no such file")
    folder = root / ("scans_test" if split == "test" else "scans")
    return [name for name in path.read_text(encoding="utf-8").split() if (folder / name).is_dir()]


def semantic3d_names(root: Path, split: str) -> list[str]:
    """Return the stations of a split that are in ``root``; "test" is reduced-8."""
    train = tuple(name for name in SEMANTIC3D_TRAIN if name not in SEMANTIC3D_VALIDATION)
    names = {"train": train, "val": SEMANTIC3D_VALIDATION, "test": SEMANTIC3D_REDUCED_TEST}[split]
    return [name for name in names if (root / f"{name}.txt").is_file()]


def npm3d_names(root: Path, split: str) -> list[str]:
    """Return the clouds of a split that are in ``root``."""
    folder = root / ("test_10_classes" if split == "test" else "training_10_classes")
    return [name for name in NPM3D_SPLITS[split] if (folder / f"{name}.ply").is_file()]


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
        ),
    )
}
