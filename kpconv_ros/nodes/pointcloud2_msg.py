# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PointCloud2 messages from numpy arrays, as fast as Python allows.

Reading is in `kpconv_ros.data.pointcloud2`, which needs no ROS. The dtype of a structured array *is* the layout of the
message: names, offsets, padding and byte order are taken over as they are.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from kpconv_ros.data.pointcloud2 import PackedCloud

DATATYPE_OF_KIND = {
    "i1": PointField.INT8,
    "u1": PointField.UINT8,
    "i2": PointField.INT16,
    "u2": PointField.UINT16,
    "i4": PointField.INT32,
    "u4": PointField.UINT32,
    "f4": PointField.FLOAT32,
    "f8": PointField.FLOAT64,
}


def cloud_message(
    points: npt.NDArray[Any], header: Header, height: int = 1, is_dense: bool | None = None
) -> PointCloud2:
    """Make a PointCloud2 of a structured array.

    Args:
        points: Structured array, ``(N,)``; its dtype (names, offsets, byte order) becomes the layout.
        header: Stamp and frame; taken over, not copied.
        height: Rows of an organised cloud; ``N`` is divisible by it.
        is_dense: Whether no coordinate is NaN or infinite; looked up in x, y, z when None.
    Raises:
        ValueError: If ``N`` is not divisible by ``height``, or a field has a type that PointCloud2 lacks.
    """
    if height < 1 or len(points) % height:
        raise ValueError(f"got {len(points)} points and height {height}, expected a multiple of the height")
    width = len(points) // height
    message = PointCloud2(header=header, height=height, width=width)
    message.fields = point_fields(points.dtype)
    message.is_bigendian = _is_big_endian(points.dtype)
    message.point_step = points.dtype.itemsize
    message.row_step = width * points.dtype.itemsize
    message.is_dense = _all_finite(points) if is_dense is None else is_dense
    message.data = message_bytes(points)
    return message


def packed_message(cloud: PackedCloud, header: Header, is_dense: bool) -> PointCloud2:
    """Make a PointCloud2 of a cloud packed by `kpconv_ros.data.pointcloud2`.

    Args:
        cloud: Layout and bytes; all fields of the input and what was appended.
        header: Stamp and frame; taken over, not copied.
        is_dense: Whether no coordinate is NaN or infinite.
    """
    message = PointCloud2(header=header, height=cloud.height, width=cloud.width)
    message.fields = [
        PointField(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count) for f in cloud.fields
    ]
    message.is_bigendian = cloud.is_bigendian
    message.point_step, message.row_step = cloud.point_step, cloud.row_step
    message.is_dense = is_dense
    message.data = message_bytes(cloud.data)
    return message


def message_bytes(values: npt.NDArray[Any]) -> array[int]:
    """The bytes of an array in the form that a message takes without a check of every element."""
    data = array("B")
    if values.size:
        data.frombytes(np.ascontiguousarray(values).view(np.uint8).data.cast("B"))
    return data


def point_fields(dtype: np.dtype[Any]) -> list[PointField]:
    """The PointFields of a structured dtype, in the order of their names.

    Raises:
        ValueError: If a field has a type that PointCloud2 lacks (64-bit integers, booleans, nested structures).
    """
    fields = []
    for name in dtype.names or ():
        kind, offset = dtype.fields[name][:2]  # type: ignore[index]
        base, shape = kind.subdtype if kind.subdtype is not None else (kind, ())
        code = f"{base.kind}{base.itemsize}"
        if code not in DATATYPE_OF_KIND:
            raise ValueError(f"field '{name}': got {base}, expected one of {', '.join(DATATYPE_OF_KIND)}")
        count = int(np.prod(shape, dtype=np.int64))
        fields.append(PointField(name=name, offset=offset, datatype=DATATYPE_OF_KIND[code], count=count))
    return fields


def pack_columns(**columns: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A structured array, without padding, of equally long columns (``x=..., y=..., label=...``)."""
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"got columns of lengths {sorted(lengths)}, expected equal ones")
    packed = np.empty(lengths.pop(), dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        packed[name] = column
    return packed


def _is_big_endian(dtype: np.dtype[Any]) -> bool:
    kinds = [dtype.fields[name][0].base for name in dtype.names or ()]  # type: ignore[index]
    orders = {kind.newbyteorder("=") == kind for kind in kinds if kind.itemsize > 1}
    if len(orders) > 1:
        raise ValueError("got fields of both byte orders, expected one")
    native_is_big = bool(np.dtype(">u2").isnative)
    return native_is_big if orders in (set(), {True}) else not native_is_big


def _all_finite(points: npt.NDArray[Any]) -> bool:
    return all(bool(np.isfinite(points[name]).all()) for name in "xyz" if name in (points.dtype.names or ()))
