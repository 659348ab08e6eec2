# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LAS and LAZ files (ASPRS, version 1.4) by laspy, which is imported when it is needed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.cloud_error import CloudError

_FULL_SCALE = 65535.0  # LAS normalises intensities to 16 bits
_RESOLUTION = 0.001  # [m] of the integers that positions are stored in
_COLOR_FORMAT, _PLAIN_FORMAT = 7, 6  # point formats of LAS 1.4 with and without colour


def read_las(path: Path) -> NDArray[np.void]:
    """Read positions (float64, metres), intensity (0 to 1) and, if it is there, our extra field ``label``.

    Returns:
        Structured array with x, y, z, intensity and maybe label, ``(N,)``.

    Raises:
        CloudError: If the file is damaged, or laspy (for .laz: lazrs) is not installed.
    """
    laspy = _import_laspy(path)
    try:
        las = laspy.read(path)
    except Exception as error:  # laspy lets struct, numpy and Rust errors of damaged files through
        raise CloudError(f"{path}: got no readable LAS file: {_text_of(error)}") from error
    if len(las.points) != las.header.point_count:
        raise CloudError(f"{path}: got {len(las.points)} points, expected {las.header.point_count}")
    columns: dict[str, NDArray[Any]] = {axis: np.asarray(las[axis], dtype=np.float64) for axis in "xyz"}
    columns["intensity"] = np.asarray(las.intensity, dtype=np.float32) / np.float32(_FULL_SCALE)
    if "label" in las.point_format.extra_dimension_names:
        columns["label"] = np.asarray(las["label"])
    table = np.empty(len(las.points), [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        table[name] = values
    return table


def write_las(
    path: Path, positions: NDArray[Any], columns: dict[str, NDArray[Any]], colors: NDArray[np.uint8] | None
) -> None:
    """Write positions, to the millimetre, ``intensity`` (0 to 1) and colours; label and confidence as extra fields.

    Raises:
        CloudError: If a position is not finite (LAS stores integers), or laspy is not installed.
    """
    laspy = _import_laspy(path)
    if not np.isfinite(positions).all():
        raise CloudError(f"{path}: got positions that are not finite, which LAS cannot hold; leave them out")
    header = laspy.LasHeader(point_format=_PLAIN_FORMAT if colors is None else _COLOR_FORMAT, version="1.4")
    header.scales = np.full(3, _RESOLUTION)
    header.offsets = np.floor(positions.min(axis=0)) if len(positions) else np.zeros(3)
    extra = {name: dtype for name, dtype in (("label", np.uint8), ("confidence", np.float32)) if name in columns}
    for name, dtype in extra.items():
        header.add_extra_dim(laspy.ExtraBytesParams(name=name, type=dtype))
    las = laspy.LasData(header)
    las.x, las.y, las.z = positions.astype(np.float64).T
    for name, dtype in extra.items():
        las[name] = columns[name].astype(dtype)
    if "intensity" in columns:
        las.intensity = np.clip(np.rint(columns["intensity"] * _FULL_SCALE), 0, _FULL_SCALE).astype(np.uint16)
    if colors is not None:
        las.red, las.green, las.blue = colors.astype(np.uint16).T * 257  # 8 bits to 16
    try:
        las.write(path)
    except Exception as error:
        raise CloudError(f"{path}: cannot be written: {_text_of(error)}") from error


def _import_laspy(path: Path) -> Any:
    try:
        import laspy

        if path.suffix.lower() == ".laz" and not laspy.LazBackend.detect_available():
            raise CloudError(f"{path}: .laz needs a decompressor: pip install 'laspy[lazrs]'")
    except ImportError as error:
        raise CloudError(f"{path}: .las needs laspy: pip install 'laspy[lazrs]'") from error
    return laspy


def _text_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
