# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which clouds of S3DIS, ScanNet, Semantic3D and NPM3D belong to which split, "train", "val" or "test"."""

from pathlib import Path

from kpconv_ros.data.labelled_cloud import DatasetError

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
