# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PLY and PCD files by Open3D, which is imported when the first of them is read or written."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.cloud_error import CloudError

_SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64"), 8),
}
_HEADER_BYTES = 1 << 16  # more than any PLY header has


def read_fields(path: Path) -> dict[str, NDArray[Any]]:
    """Read a PLY or PCD file.

    Returns:
        ``x``, ``y`` and ``z`` and every scalar attribute, ``(N,)`` each, under its name in the file.

    Raises:
        CloudError: If Open3D cannot read it, or it ends too early.
    """
    open3d = import_open3d()
    if path.suffix.lower() == ".ply":
        _check_ply(path)
    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        attributes = open3d.t.io.read_point_cloud(str(path)).point
    if "positions" not in attributes:
        raise CloudError(f"{path}: got no points that Open3D can read, expected x, y and z at least")
    positions = attributes["positions"].numpy()
    fields = {axis: positions[:, i] for i, axis in enumerate("xyz")}
    for name, values in attributes.items():
        if name != "positions" and values.shape[1] == 1:
            fields[name] = values.numpy()[:, 0]
    return fields


def write_fields(
    path: Path, positions: NDArray[Any], columns: dict[str, NDArray[Any]], colors: NDArray[np.uint8] | None
) -> None:
    """Write a binary PLY or PCD file.

    Args:
        path: Its suffix says which.
        positions: ``(N, 3)``, metres, float32 or float64.
        columns: Scalar attributes by name, ``(N,)`` each.
        colors: Red, green, blue, ``(N, 3)``, or None.

    Raises:
        CloudError: If it cannot be written.
    """
    open3d = import_open3d()
    cloud = open3d.t.geometry.PointCloud(open3d.core.Tensor.from_numpy(np.ascontiguousarray(positions)))
    for name, values in columns.items():
        cloud.point[name] = open3d.core.Tensor.from_numpy(np.ascontiguousarray(values)[:, None])
    if colors is not None:
        cloud.point["colors"] = open3d.core.Tensor.from_numpy(np.ascontiguousarray(colors, np.uint8))
    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        if not open3d.t.io.write_point_cloud(str(path), cloud):
            raise CloudError(f"{path}: Open3D could not write the file")
    if path.suffix.lower() == ".ply":
        _check_whole(path)


def import_open3d() -> Any:
    """Import Open3D.

    Raises:
        CloudError: Saying what to install, if it or a library of the system that it needs is missing.
    """
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise CloudError(
            f"PLY and PCD files need Open3D (pip install open3d, apt-get install libusb-1.0-0): {error}"
        ) from error
    return open3d


def _check_whole(path: Path) -> None:
    """Raise where a disk was full: Open3D calls a PLY file written of which a part is missing."""
    try:
        _check_ply(path)
    except CloudError as error:
        raise CloudError(f"not written in full, is the disk full? {error}") from error


def _check_ply(path: Path) -> None:
    """Raise where a PLY file is shorter than its header says: Open3D would return zeros for what is missing."""
    with path.open("rb") as file:
        head, found, rest = file.read(_HEADER_BYTES).partition(b"end_header\n")
        lines = [line.split() for line in head.decode("ascii", "replace").splitlines()]
        tail = rest + file.read() if found else b""
    try:
        kind = next(line[1] for line in lines if line[:1] == ["format"])
        vertex = next(i for i, line in enumerate(lines) if line[:2] == ["element", "vertex"])
        num_points = int(lines[vertex][2])
        after = next((i for i in range(vertex + 1, len(lines)) if lines[i][:1] == ["element"]), len(lines))
        row = sum(_SIZES[line[1]] for line in lines[vertex + 1 : after] if line[:1] == ["property"])
    except (StopIteration, IndexError, KeyError, ValueError) as error:
        raise CloudError(f"{path}: got a PLY header that cannot be understood ({error!r})") from error
    if kind == "binary_big_endian":  # Open3D 0.20 gives wrong numbers for it
        raise CloudError(f"{path}: got a big-endian PLY file, expected ascii or binary_little_endian")
    got, expected = (len(tail.splitlines()), num_points) if kind == "ascii" else (len(tail), num_points * row)
    if got < expected:
        raise CloudError(f"{path}: got {got} {'lines' if kind == 'ascii' else 'bytes'} of points, expected {expected}")
