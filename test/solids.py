# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny datasets of single objects in the published formats: solids as ModelNet40, furniture as ShapeNetPart.

``python test/solids.py ROOT TRAIN TEST`` writes ``ROOT/modelnet40`` and ``ROOT/shapenetpart`` with so many objects of
each class in each split.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kpconv_ros.data.shape_datasets import SHAPENET_PARTS, first_part, sample_triangles

Corners = NDArray[np.float64]
MANY = 20  # sides of what is round


def lathe(profile: list[tuple[float, float]], sides: int = MANY) -> Corners:
    """Turn a polyline of (radius, height) about the vertical: triangles ``(T, 3, 3)``."""
    angles = np.arange(sides + 1) * 2 * np.pi / sides + np.pi / sides
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    rings = [np.column_stack([ring * radius, np.full(sides + 1, height)]) for radius, height in profile]
    faces = []
    for low, high in zip(rings, rings[1:]):
        faces += [np.stack([low[:-1], low[1:], high[1:]], 1), np.stack([low[:-1], high[1:], high[:-1]], 1)]
    return np.concatenate(faces)


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Corners:
    """Return the faces of a box with these corners."""
    unit = lathe([(0, 0), (2**-0.5, 0), (2**-0.5, 1), (0, 1)], 4) + (0.5, 0.5, 0)
    return np.array(low) + unit * (np.array(high) - np.array(low))


def ball() -> Corners:
    """Return a sphere."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 9)
    return lathe([(np.cos(a), np.sin(a)) for a in angles])


def ring() -> Corners:
    """Return a torus."""
    angles = np.linspace(0, 2 * np.pi, 11)
    return lathe([(1 + 0.35 * np.cos(a), 0.35 * np.sin(a)) for a in angles])


SOLIDS: dict[str, Callable[[], Corners]] = {
    "dresser": lambda: box((-1, -1, -1), (1, 1, 1)),
    "bowl": ball,
    "bottle": lambda: lathe([(0, -1), (1, -1), (1, 1), (0, 1)]),
    "cone": lambda: lathe([(0, -1), (1, -1), (0, 1)]),
    "cup": ring,
    "tent": lambda: lathe([(0, -1), (1.4, -1), (0, 1)], 4),
    "vase": lambda: lathe([(1, -1), (1, 1)]),  # open at both ends
    "stairs": lambda: np.concatenate([box((-1, -1, -1), (1, 1, 0)), box((-1, -1, 0), (0, 1, 1))]),
}
"""One solid for each of eight classes of ModelNet40."""


def vary(points: NDArray[np.floating], generator: Generator, noise: float) -> NDArray[np.float64]:
    """Stretch an object, turn it about the vertical and move its points ``(..., 3)`` a little."""
    angle = generator.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    stretched = points * generator.uniform(0.7, 1.4, 3)
    moved: NDArray[np.float64] = (stretched + generator.normal(0, noise, points.shape)) @ turn
    return moved * generator.uniform(0.1, 50) + generator.uniform(-9, 9, 3)


def write_modelnet(root: Path, counts: dict[str, int], seed: int = 0, noise: float = 0.03) -> Path:
    """Write ``counts[split]`` meshes of each solid as ``CLASS/SPLIT/CLASS_0001.off``."""
    generator = np.random.default_rng(seed)
    for name, make in SOLIDS.items():
        number = 0
        for split, count in counts.items():
            folder = root / name / split
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                number += 1
                write_off(folder / f"{name}_{number:04d}.off", vary(make(), generator, noise))
    return root


def write_off(path: Path, corners: Corners) -> None:
    """Write triangles ``(T, 3, 3)``."""
    vertices = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in corners.reshape(-1, 3))
    faces = "\n".join(f"3 {3 * i} {3 * i + 1} {3 * i + 2}" for i in range(len(corners)))
    path.write_text(f"OFF\n{3 * len(corners)} {len(corners)} 0\n{vertices}\n{faces}\n")


def table(generator: Generator) -> list[Corners]:
    """Return the top and the legs of a table; its third part is missing, as in many tables of the dataset."""
    width, depth = generator.uniform(0.6, 1.2, 2)
    legs = [box((x - 0.08, y - 0.08, -1), (x + 0.08, y + 0.08, 0)) for x in (-width, width) for y in (-depth, depth)]
    return [box((-width - 0.1, -depth - 0.1, 0), (width + 0.1, depth + 0.1, 0.12)), np.concatenate(legs)]


def lamp(generator: Generator) -> list[Corners]:
    """Return the foot, the shade and the pole of a lamp."""
    wide = generator.uniform(0.4, 0.9)
    return [
        lathe([(0, -1), (wide, -1), (0, -0.85)]),
        lathe([(wide, 0.5), (wide / 2, 1)]),
        lathe([(0.06, -0.9), (0.06, 0.7)]),
    ]


def mug(generator: Generator) -> list[Corners]:
    """Return the handle and the body of a mug."""
    tall = generator.uniform(0.5, 1)
    handle = ring()[:, :, [0, 2, 1]] * (0.35, 0.35, 0.35 * tall) + (1.1, 0, 0)
    return [handle, lathe([(0, -tall), (0.8, -tall), (0.8, tall)])]


PARTED: dict[str, Callable[[Generator], list[Corners]]] = {"Table": table, "Lamp": lamp, "Mug": mug}


def write_shapenet(root: Path, counts: dict[str, int], seed: int = 0, num_points: int = 800) -> Path:
    """Write ``counts[split]`` objects of each kind as ``SYNSET/NAME.txt``, and the lists of the splits."""
    generator = np.random.default_rng(seed)
    lists: dict[str, list[str]] = {split: [] for split in ("train", "val", "test")}
    for name, make in PARTED.items():
        synset, first = SHAPENET_PARTS[name][0], first_part(list(SHAPENET_PARTS).index(name))
        (root / synset).mkdir(parents=True, exist_ok=True)
        for split, count in counts.items():
            for number in range(count):
                parts = make(generator)
                shares = generator.multinomial(num_points, np.full(len(parts), 1 / len(parts)))
                points = [sample_triangles(part, n, generator) for part, n in zip(parts, shares)]
                placed = vary(np.concatenate(points), generator, 0.01)
                labels = np.repeat(np.arange(first, first + len(parts)), shares)
                rows = np.column_stack([placed, np.zeros_like(placed), labels])
                np.savetxt(root / synset / f"{split}{number}.txt", rows, fmt="%.6f")
                lists[split].append(f"shape_data/{synset}/{split}{number}")
    (root / "train_test_split").mkdir(exist_ok=True)
    for split, names in lists.items():
        (root / f"train_test_split/shuffled_{split}_file_list.json").write_text(json.dumps(names))
    return root


if __name__ == "__main__":
    folder, train, test = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    write_modelnet(folder / "modelnet40", {"train": train, "test": test})
    write_shapenet(folder / "shapenetpart", {"train": train, "test": test}, num_points=2400)
