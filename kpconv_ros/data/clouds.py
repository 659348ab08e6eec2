# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clouds from and to files: .bin (KITTI), .pcd, .ply, .las, .laz, .npy, .npz, .label (SemanticKITTI, write only)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.cloud_error import CloudError
from kpconv_ros.data.las_files import read_las, write_las
from kpconv_ros.data.open3d_files import read_fields, write_fields
from kpconv_ros.data.pointcloud2 import INTENSITY_NAMES
from kpconv_ros.data.semantic_kitti import KittiError, read_velodyne

__all__ = ["Cloud", "CloudError", "READABLE", "WRITABLE", "read_cloud", "write_cloud"]

READABLE = (".bin", ".pcd", ".ply", ".las", ".laz", ".npy", ".npz")
WRITABLE = (".ply", ".pcd", ".las", ".laz", ".npy", ".npz", ".label")
LABEL_NAMES = ("label", "labels", "class")
_FAR = 10_000.0  # [m] beyond this float32 steps exceed a millimetre


@dataclass(frozen=True)
class Cloud:
    """A cloud of a file."""

    points: NDArray[np.float32]
    """Positions relative to ``origin``, ``(N, 3)``, metres; may hold NaN where the file does."""
    intensity: NDArray[np.float32] | None = None
    """Return strength, ``(N,)``: 0 to 1 of .las, else as the file holds it."""
    labels: NDArray[np.int64] | None = None
    """Labels of a field ``label``, ``(N,)``."""
    origin: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    """What was taken off the positions, ``(3,)``: not zero where they are too large for float32 (UTM coordinates)."""


def read_cloud(path: str | Path) -> Cloud:
    """Read a cloud; the suffix of the file says how.

    A .npy file, or ``points`` in a .npz file, is an array ``(N, 3)``, or ``(N, 4)`` and more with the intensity fourth.

    Raises:
        CloudError: If the file is absent, damaged, of an unknown kind or without points.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise CloudError(f"{path}: got a file {suffix or 'without suffix'!r}, expected one of {', '.join(READABLE)}")
    if not path.is_file():
        raise CloudError(f"{path}: no such file")
    try:
        return _read(path, suffix)
    except (KittiError, OSError) as error:
        raise CloudError(str(error)) from error


def write_cloud(
    path: str | Path,
    points: NDArray[np.float32],
    labels: NDArray[Any] | None = None,
    confidence: NDArray[np.float32] | None = None,
    colors: NDArray[np.uint8] | None = None,
    intensity: NDArray[np.float32] | None = None,
    origin: NDArray[np.float64] | None = None,
) -> None:
    """Write a labelled cloud; the suffix of the file says how.

    Args:
        path: .ply, .pcd, .las, .laz (all fields), .npz (one array a field), .npy (columns x, y, z, then intensity,
            label and confidence as far as given), or .label (uint32, the labels as they are and nothing else).
        points: Positions, ``(N, 3)``, metres.
        labels: ``(N,)``, 0 to 255 but for .label.
        confidence: 0 to 1, ``(N,)``.
        colors: Red, green, blue, ``(N, 3)``.
        intensity: ``(N,)``.
        origin: `Cloud.origin` of the cloud that was read, added to the positions.

    Raises:
        CloudError: If the suffix is unknown, an array is not one a point, or the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise CloudError(f"{path}: got a file {suffix or 'without suffix'!r}, expected one of {', '.join(WRITABLE)}")
    columns: dict[str, NDArray[Any]] = {"intensity": intensity, "label": labels, "confidence": confidence}  # type: ignore[dict-item]
    columns = {name: values for name, values in columns.items() if values is not None}
    for name, values in (*columns.items(), ("colors", colors)):
        if values is not None and len(values) != len(points):
            raise CloudError(f"{path}: got {len(values)} {name} for {len(points)} points, expected as many")
    positions = points if origin is None or not np.any(origin) else points.astype(np.float64) + origin
    try:
        _write(path, suffix, positions, columns, colors)
    except OSError as error:
        raise CloudError(str(error)) from error


def _read(path: Path, suffix: str) -> Cloud:
    if suffix == ".bin":
        return Cloud(*read_velodyne(path))
    if suffix in (".npy", ".npz"):
        return _cloud_of_arrays(_load_arrays(path), path)
    if suffix in (".las", ".laz"):
        table = read_las(path)
        return _cloud_of_fields({name: table[name] for name in table.dtype.names or ()}, path)
    return _cloud_of_fields(read_fields(path), path)


def _write(
    path: Path,
    suffix: str,
    positions: NDArray[Any],
    columns: dict[str, NDArray[Any]],
    colors: NDArray[np.uint8] | None,
) -> None:
    if suffix == ".label":
        if "label" not in columns:
            raise CloudError(f"{path}: got no labels, expected them for a .label file")
        columns["label"].astype("<u4").tofile(path)
    elif suffix == ".npy":
        np.save(path, np.column_stack([positions, *columns.values()]).astype(positions.dtype))
    elif suffix == ".npz":
        arrays = {"points": positions, **columns, **({} if colors is None else {"colors": colors})}
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    elif suffix in (".las", ".laz"):
        write_las(path, positions, columns, colors)
    else:
        types = {"label": np.uint8, "confidence": np.float32, "intensity": np.float32}
        typed = {name: values.astype(types[name]) for name, values in columns.items()}
        write_fields(path, positions, typed, colors)


def _load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"points": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except Exception as error:  # a damaged file: ValueError, EOFError, BadZipFile or zlib.error
        raise CloudError(f"{path}: got no readable numpy file: {error}") from error
    if "points" not in arrays:
        raise CloudError(f"{path}: got arrays {list(arrays)}, expected 'points'")
    return arrays


def _cloud_of_arrays(arrays: dict[str, NDArray[Any]], path: Path) -> Cloud:
    points = arrays["points"]
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in "fiu":
        raise CloudError(f"{path}: got an array {points.shape} of {points.dtype}, expected (N, 3) or more of numbers")
    intensity = arrays.get("intensity", points[:, 3] if points.shape[1] > 3 else None)
    return _make_cloud(points[:, :3], intensity, arrays.get("label", arrays.get("labels")), path)


def _cloud_of_fields(fields: dict[str, NDArray[Any]], path: Path) -> Cloud:
    known = {name.lower().removeprefix("scalar_"): values for name, values in fields.items()}  # CloudCompare: scalar_
    if not set("xyz") <= set(known):
        raise CloudError(f"{path}: got fields {list(fields)}, expected x, y and z")
    positions = np.stack([known[axis] for axis in "xyz"], axis=1)
    intensity = next((known[name] for name in INTENSITY_NAMES if name in known), None)
    labels = next((known[name] for name in LABEL_NAMES if name in known), None)
    return _make_cloud(positions, intensity, labels, path)


def _make_cloud(
    positions: NDArray[Any], intensity: NDArray[Any] | None, labels: NDArray[Any] | None, path: Path
) -> Cloud:
    if len(positions) == 0:
        raise CloudError(f"{path}: got no points, expected one at least")
    for name, values in (("intensity", intensity), ("labels", labels)):
        if values is not None and values.shape != (len(positions),):
            raise CloudError(f"{path}: got {name} {values.shape}, expected ({len(positions)},)")
    origin = np.zeros(3)
    finite = positions[np.isfinite(positions).all(axis=1)]
    if len(finite) and np.abs(finite).max() > _FAR:
        origin = np.floor(finite.astype(np.float64).mean(axis=0))
    return Cloud(
        points=np.ascontiguousarray(positions - origin, dtype=np.float32),
        intensity=None if intensity is None else intensity.astype(np.float32),
        labels=None if labels is None else labels.astype(np.int64),
        origin=origin,
    )
