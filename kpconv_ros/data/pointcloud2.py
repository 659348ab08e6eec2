# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bytes of ``sensor_msgs/PointCloud2``, read and built with numpy alone.

Messages are duck-typed: those of rclpy, of rosbags, and our own :class:`PackedCloud` all fit :class:`PointCloud2Like`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""``PointField.datatype`` -> numpy type, without byte order."""
INTENSITY_NAMES = ("intensity", "intensities", "reflectivity", "reflectance", "remission", "i")
"""Names under which drivers publish the strength of the return; the first found is taken, in any case."""
PADDING_NAMES = ("", "_")
"""Names of fields that only fill space (PCL writes ``_``), any number of which a message may have."""


class PointCloud2Error(ValueError):
    """A PointCloud2 contradicts itself or lacks what is needed."""


class Field(NamedTuple):
    """One ``sensor_msgs/PointField``."""

    name: str
    offset: int
    datatype: int
    count: int = 1  # type: ignore[assignment]  # hides tuple.count, as the message's name wants it


class PointCloud2Like(Protocol):
    """What is read of a PointCloud2, whoever made it."""

    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def fields(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def is_bigendian(self) -> bool: ...  # noqa: D102
    @property
    def point_step(self) -> int: ...  # noqa: D102
    @property
    def row_step(self) -> int: ...  # noqa: D102
    @property
    def data(self) -> Any: ...  # noqa: D102


class PackedCloud(NamedTuple):
    """A PointCloud2 without its header, rows not padded."""

    height: int
    width: int
    fields: tuple[Field, ...]
    is_bigendian: bool
    point_step: int
    data: NDArray[np.uint8]
    """All points, ``(height * width * point_step,)``, contiguous."""

    @property
    def row_step(self) -> int:
        """Bytes a row."""
        return self.width * self.point_step


@dataclass(frozen=True, eq=False)
class CloudFields:
    """What a PointCloud2 holds; ``N = height * width`` points in the order of the message."""

    points: NDArray[np.void]
    """Structured view of all fields, ``(N,)``; shares memory with the message unless its rows are padded."""
    height: int
    width: int
    fields: tuple[Field, ...]
    is_bigendian: bool

    @cached_property
    def xyz(self) -> NDArray[np.float32]:
        """Positions, ``(N, 3)``, in the message's unit and frame; not checked for NaN."""
        xyz = np.empty((len(self.points), 3), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for column, axis in enumerate("xyz" if len(self.points) else ""):
                xyz[:, column] = self.points[axis]
        return xyz

    @cached_property
    def intensity(self) -> NDArray[np.float32] | None:
        """Return strength as the driver scales it, ``(N,)``, or None if there is none."""
        if self.intensity_name is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            intensity: NDArray[np.float32] = self.points[self.intensity_name].astype(np.float32)
        return intensity

    @property
    def intensity_name(self) -> str | None:
        """Name of the field of :data:`INTENSITY_NAMES` that is there, or None."""
        names = {field.name.lower(): field.name for field in self.fields if field.count == 1}
        return next((names[name] for name in INTENSITY_NAMES if name in names), None)


def field_dtype(msg: PointCloud2Like) -> np.dtype[np.void]:
    """Build the structured dtype of one point, ``itemsize`` being ``point_step``.

    Raises:
        PointCloud2Error: If a field has an unknown datatype, does not fit into ``point_step`` or occurs twice.
    """
    order = ">" if msg.is_bigendian else "<"
    fields = [field for field in _fields_of(msg) if field.name not in PADDING_NAMES]
    formats = []
    for field in fields:
        if field.datatype not in DATATYPES:
            raise PointCloud2Error(f"field {field.name!r}: got datatype {field.datatype}, expected 1 to 8")
        end = field.offset + field.count * np.dtype(DATATYPES[field.datatype]).itemsize
        if end > msg.point_step:
            raise PointCloud2Error(
                f"field {field.name!r}: got its end at byte {end}, expected point_step {msg.point_step} or less"
            )
        code = order + DATATYPES[field.datatype]
        formats.append(code if field.count == 1 else (code, (field.count,)))
    names = [field.name for field in fields]
    if len(set(names)) != len(names):
        raise PointCloud2Error(f"got fields {names}, expected every name once")
    offsets = [field.offset for field in fields]
    try:
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": msg.point_step})
    except (ValueError, OverflowError) as error:
        raise PointCloud2Error(f"got point_step {msg.point_step}, expected less than 2^31: {error}") from error


def read_points(msg: PointCloud2Like) -> CloudFields:
    """Read positions, intensity and all fields of a PointCloud2 of any layout.

    Padding, unaligned steps, big-endian data, organised clouds, padded rows and any numeric type are accepted. A
    ``row_step`` that is too small is ignored where the length of the data leaves no doubt.

    Raises:
        PointCloud2Error: If sizes contradict each other, x, y or z is missing, or :func:`field_dtype` fails.
    """
    fields = _fields_of(msg)
    if msg.height * msg.width == 0 and not fields:
        empty = np.zeros(0, dtype=[])
        return CloudFields(empty, msg.height, msg.width, (), msg.is_bigendian)
    points = _view_points(msg, field_dtype(msg))
    _check_axes(fields)
    return CloudFields(points, msg.height, msg.width, fields, bool(msg.is_bigendian))


def append_fields(cloud: CloudFields, labels: NDArray[np.uint8], confidence: NDArray[np.float32]) -> PackedCloud:
    """Append ``label`` (uint8) and ``confidence`` (float32) to every point, keeping all other fields and the shape.

    Input fields keep their offsets and bytes. One already called ``label`` or ``confidence`` leaves the field list.

    Args:
        cloud: What :func:`read_points` returned.
        labels: Class indices, ``(N,)``.
        confidence: 0 to 1, ``(N,)``.

    Raises:
        PointCloud2Error: If labels or confidence are not one a point.
    """
    num_points = len(cloud.points)
    if labels.shape != (num_points,) or confidence.shape != (num_points,):
        raise PointCloud2Error(f"got labels {labels.shape}, confidence {confidence.shape}, expected ({num_points},)")
    step = cloud.points.dtype.itemsize
    confidence_at = -(-step // 4) * 4  # aligned as C structs are
    label_at, new_step = confidence_at + 4, confidence_at + 8
    rows = np.zeros((num_points, new_step), np.uint8)
    if num_points:
        rows[:, :step] = cloud.points.view(np.uint8).reshape(num_points, step)
    order = ">" if cloud.is_bigendian else "<"
    rows[:, label_at] = labels
    rows[:, confidence_at:label_at] = confidence.astype(order + "f4").view(np.uint8).reshape(num_points, 4)
    kept = tuple(field for field in cloud.fields if field.name not in ("label", "confidence"))
    fields = (*kept, Field("label", label_at, 2), Field("confidence", confidence_at, 7))
    return PackedCloud(cloud.height, cloud.width, fields, cloud.is_bigendian, new_step, rows.reshape(-1))


def take_points(cloud: CloudFields, rows: NDArray[np.int64]) -> PackedCloud:
    """Take the points of some rows, ``(m,)``, in their order, with all fields; the result is unorganised (height 1)."""
    taken = np.ascontiguousarray(cloud.points[rows])
    data = taken.view(np.uint8).reshape(-1) if len(taken) else np.zeros(0, np.uint8)
    return PackedCloud(1, len(rows), cloud.fields, cloud.is_bigendian, cloud.points.dtype.itemsize, data)


def replace_xyz(cloud: CloudFields, xyz: NDArray[np.floating[Any]], without: Sequence[str] = ()) -> PackedCloud:
    """Move the points of a cloud, keeping its shape and all its other fields but those in ``without``.

    Args:
        cloud: What :func:`read_points` returned.
        xyz: New positions, ``(N, 3)``.
        without: Names of fields that leave the field list; their bytes stay.

    Raises:
        PointCloud2Error: If there is not one position a point.
    """
    if xyz.shape != (len(cloud.points), 3):
        raise PointCloud2Error(f"got positions {xyz.shape}, expected ({len(cloud.points)}, 3)")
    moved = np.array(cloud.points)
    for column, axis in enumerate("xyz" if len(moved) else ""):
        moved[axis] = xyz[:, column]
    fields = tuple(field for field in cloud.fields if field.name not in without)
    data = moved.view(np.uint8).reshape(-1) if len(moved) else np.zeros(0, np.uint8)
    return PackedCloud(cloud.height, cloud.width, fields, cloud.is_bigendian, moved.dtype.itemsize, data)


def pack_points(columns: Mapping[str, NDArray[Any]]) -> PackedCloud:
    """Build an unorganised little-endian cloud from one array a field.

    Args:
        columns: Field name -> values, ``(N,)`` each, of a type PointField has; fields follow each other in this order,
            without padding.

    Raises:
        PointCloud2Error: If lengths differ or a type has no PointField datatype.
    """
    codes = {np.dtype(code): number for number, code in DATATYPES.items()}
    fields, offset = [], 0
    for name, values in columns.items():
        dtype = values.dtype.newbyteorder("<")
        if dtype not in codes or values.ndim != 1:
            raise PointCloud2Error(f"field {name!r}: got {values.dtype} {values.shape}, expected (N,) of {list(codes)}")
        fields.append(Field(name, offset, codes[dtype]))
        offset += dtype.itemsize
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise PointCloud2Error(f"got columns of {lengths} points, expected one length")
    num_points = next(iter(lengths.values()))
    cloud = PackedCloud(1, num_points, tuple(fields), False, offset, np.empty(num_points * offset, np.uint8))
    points = cloud.data.view(field_dtype(cloud))
    for name, values in columns.items():
        points[name] = values
    return cloud


def pack_xyz(points: NDArray[np.float32], **columns: NDArray[Any]) -> PackedCloud:
    """Build a cloud of ``x``, ``y``, ``z`` (float32) from ``(N, 3)`` positions, then the further columns."""
    xyz = points.astype(np.float32, copy=False)
    return pack_points({"x": xyz[:, 0], "y": xyz[:, 1], "z": xyz[:, 2], **columns})


def pack_rgb(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pack red, green, blue, ``(..., 3)`` uint8, as the float32 of a PCL ``rgb`` field, ``(...)``.

    The bits are ``0x00RRGGBB``. A table packed once gives the field of a labelled cloud as ``table[labels]``.
    """
    rgb = colors.astype(np.uint32)
    bits: NDArray[np.uint32] = np.ascontiguousarray(rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2], dtype="<u4")
    return bits.view("<f4")


def keep_points(cloud: PackedCloud, keep: NDArray[np.bool_]) -> PackedCloud:
    """Keep the points where ``keep``, ``(N,)``, is true; the result is unorganised (height 1)."""
    num_points = cloud.height * cloud.width
    if keep.shape != (num_points,):
        raise PointCloud2Error(f"got a mask {keep.shape}, expected ({num_points},)")
    rows = cloud.data.reshape(num_points, cloud.point_step)[keep]
    return cloud._replace(height=1, width=len(rows), data=rows.reshape(-1))


def _fields_of(msg: PointCloud2Like) -> tuple[Field, ...]:
    # Old drivers send a count of 0 and mean 1, as PCL also takes it.
    return tuple(Field(str(f.name), int(f.offset), int(f.datatype), max(1, int(f.count))) for f in msg.fields)


def _view_points(msg: PointCloud2Like, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    data = np.frombuffer(msg.data, np.uint8) if len(msg.data) else np.zeros(0, np.uint8)
    num_points, packed_row = msg.height * msg.width, msg.width * msg.point_step
    row_step = max(msg.row_step, packed_row)
    expected = {row_step * msg.height, row_step * (msg.height - 1) + packed_row} if num_points else {0}
    if len(data) not in expected or (num_points and not msg.point_step):
        raise PointCloud2Error(
            f"got {len(data)} bytes of data, expected {max(expected)}: height {msg.height}, width {msg.width}, "
            f"point_step {msg.point_step}, row_step {msg.row_step}"
        )
    if num_points == 0:
        return np.zeros(0, dtype)
    if row_step == packed_row:
        return data.view(dtype)
    rows = np.ndarray((msg.height, msg.width), dtype, data, strides=(row_step, msg.point_step))
    return np.ascontiguousarray(rows.reshape(-1))  # of one column, the flat view would still have gaps


def _check_axes(fields: tuple[Field, ...]) -> None:
    names = [field.name for field in fields if field.count == 1]
    missing = [axis for axis in "xyz" if axis not in names]
    if missing:
        got = [f"{field.name}[{field.count}]" if field.count > 1 else field.name for field in fields]
        raise PointCloud2Error(f"got fields {got}, expected x, y, z of one number each: {missing} missing")
