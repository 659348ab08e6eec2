# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When each point of a cloud was measured: the time fields of drivers, whatever their name, type, unit and origin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.pointcloud2 import CloudFields, PointCloud2Error

TIME_NAMES = ("t", "time", "timestamp", "time_stamp", "timestamps", "offset_time", "time_offset", "offset", "stamp")
"""Names under which drivers publish the time of a point; the first found is taken, in any case."""
SECONDS_OF_UNIT = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
UNITS = ("auto", *SECONDS_OF_UNIT)
LONGEST_SCAN = 2.0
"""No scan takes longer, seconds; units of time are 1000 apart, so this tells which one a field has."""


def find_time_field(cloud: CloudFields, name: str = "") -> str | None:
    """The field with the points' times: the one of this name, else the first of `TIME_NAMES`; None if there is none.

    Raises:
        PointCloud2Error: If ``name`` is given and is no field of one number.
    """
    names = {field.name: field.name for field in cloud.fields if field.count == 1}
    if name:
        if name not in names:
            raise PointCloud2Error(f"got fields {list(names)}, expected the time field '{name}' among them")
        return name
    lower = {field.lower(): field for field in names}
    return next((lower[known] for known in TIME_NAMES if known in lower), None)


def read_times(cloud: CloudFields, stamp: float, name: str = "", unit: str = "auto") -> NDArray[np.float64] | None:
    """Read when each point was measured.

    Times may count from the stamp, from the first point, or be absolute. Absolute ones of another clock than the
    stamp's count from the first point. A time that is not finite is taken as the mean of the others.

    Args:
        cloud: The scan.
        stamp: Its stamp, seconds.
        name: Field; empty: see `find_time_field`.
        unit: s, ms, us, ns, or auto: the largest unit in which the scan takes no longer than `LONGEST_SCAN`.

    Returns:
        Seconds after the stamp, ``(N,)``; None if the cloud has no time field, or one in which all is equal.

    Raises:
        PointCloud2Error: If the field is missing, or the scan would take longer than `LONGEST_SCAN`.
    """
    field = find_time_field(cloud, name)
    if field is None or not len(cloud.points):
        return None
    values = cloud.points[field].astype(np.float64)
    is_finite = np.isfinite(values)
    if not is_finite.any():
        return None
    first = float(values[is_finite].min())
    span = float(values[is_finite].max()) - first
    if span == 0.0:
        return None
    scale = _scale_of(span, unit, field)
    times = (values - first) * scale + _offset_of_first(first * scale, stamp)
    times[~is_finite] = times[is_finite].mean()
    return times


def _scale_of(span: float, unit: str, field: str) -> float:
    """Seconds of one unit of a field in which a scan spans ``span``."""
    units = SECONDS_OF_UNIT.values() if unit == "auto" else [SECONDS_OF_UNIT[unit]]
    fitting = [scale for scale in units if span * scale <= LONGEST_SCAN]
    if not fitting:
        raise PointCloud2Error(
            f"field '{field}': got a scan of {span * min(units):.1f} s (unit {unit}), expected at most {LONGEST_SCAN} s"
        )
    return fitting[0]


def _offset_of_first(first: float, stamp: float) -> float:
    """Seconds from the stamp to the first point, whose time is ``first`` seconds from wherever its field counts."""
    for origin in (0.0, stamp):
        if abs(first - origin) <= LONGEST_SCAN:
            return first - origin
    return 0.0
