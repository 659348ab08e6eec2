# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PointCloud2 messages of any shape: refused with a reason, or read exactly as a reader of single points does."""

import math
import struct
from types import SimpleNamespace

import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kpconv_ros.data.point_times import read_times  # noqa: E402
from kpconv_ros.data.pointcloud2 import (  # noqa: E402
    DATATYPES,
    INTENSITY_NAMES,
    PointCloud2Error,
    append_fields,
    read_points,
)
from kpconv_ros.data.recorded_scans import ScanError, labels_of  # noqa: E402

CODES = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 8: "d"}
NAMES = st.sampled_from(["x", "y", "z", "intensity", "label", "t", "ring", "_", "", "X", "i", "timestamp", "é"])
POINTS_CHECKED = 6


@st.composite
def fields(draw):
    """One field, sensible or not."""
    return SimpleNamespace(
        name=draw(NAMES),
        offset=draw(st.integers(0, 40) | st.sampled_from([2**31, 2**32 - 1])),
        datatype=draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8]) | st.integers(0, 255)),
        count=draw(st.sampled_from([0, 1, 1, 1, 2, 5]) | st.just(2**32 - 1)),
    )


@st.composite
def wild_messages(draw):
    """A message whose parts need not fit each other."""
    return SimpleNamespace(
        height=draw(st.integers(0, 4) | st.sampled_from([2**16, 2**32 - 1])),
        width=draw(st.integers(0, 9) | st.sampled_from([2**16, 2**32 - 1])),
        fields=draw(st.lists(fields(), max_size=6)),
        is_bigendian=draw(st.booleans()),
        point_step=draw(st.integers(0, 48) | st.just(2**32 - 1)),
        row_step=draw(st.integers(0, 300) | st.just(2**32 - 1)),
        data=draw(st.binary(max_size=400)),
    )


@st.composite
def fitting_messages(draw):
    """A message whose sizes fit: any order, type, gap and padding of x, y, z and more."""
    names = draw(
        st.permutations(
            ["x", "y", "z", *draw(st.lists(NAMES.filter(lambda name: name not in "xyz"), max_size=3, unique=True))]
        )
    )
    listed, offset = [], 0
    for name in names:
        offset += draw(st.integers(0, 3))
        datatype, count = draw(st.integers(1, 8)), 1 if name in "xyz" else draw(st.integers(1, 3))
        listed.append(SimpleNamespace(name=name, offset=offset, datatype=datatype, count=count))
        offset += count * np.dtype(DATATYPES[datatype]).itemsize
    height, width, step = draw(st.integers(1, 3)), draw(st.integers(0, 7)), offset + draw(st.integers(0, 5))
    row_step = width * step + draw(st.sampled_from([0, 0, 1, 7]))
    size = height * row_step if height * width else 0
    data = draw(st.binary(min_size=size, max_size=size))
    is_bigendian = draw(st.booleans())
    return SimpleNamespace(
        height=height,
        width=width,
        fields=listed,
        is_bigendian=is_bigendian,
        point_step=step,
        row_step=row_step,
        data=data,
    )


def number_at(msg, field, row, column):
    """A field of a point, unpacked alone."""
    row_step = max(msg.row_step, msg.width * msg.point_step)
    place = row * row_step + column * msg.point_step + field.offset
    return struct.unpack_from((">" if msg.is_bigendian else "<") + CODES[field.datatype], msg.data, place)[0]


def same(got, expected):
    """Whether a float32 is the number, NaN and overflow included."""
    with np.errstate(over="ignore"):
        rounded = float(np.float64(expected).astype(np.float32))
    return (math.isnan(got) and math.isnan(rounded)) or got == rounded


def check_read(msg, cloud):
    """What was read is what lies in the bytes."""
    assert len(cloud.xyz) == len(cloud.points) == msg.height * msg.width
    by_name = {field.name: field for field in msg.fields}
    spread = np.linspace(0, max(len(cloud.xyz) - 1, 0), POINTS_CHECKED).astype(int)
    for point in set(spread.tolist()) if len(cloud.xyz) else ():
        row, column = divmod(point, msg.width)
        for axis, name in enumerate("xyz"):
            assert same(cloud.xyz[point, axis], number_at(msg, by_name[name], row, column)), name
        lower = {field.name.lower(): field for field in msg.fields if field.count in (0, 1)}
        known = next((lower[name] for name in INTENSITY_NAMES if name in lower), None)
        assert (cloud.intensity is None) == (known is None)
        if known is not None:
            assert same(cloud.intensity[point], number_at(msg, known, row, column))


@given(wild_messages())
def test_a_wild_message_is_refused_or_read_right(msg):
    try:
        cloud = read_points(msg)
    except PointCloud2Error:
        return
    if msg.fields:
        check_read(msg, cloud)
    assert len(cloud.xyz) == msg.height * msg.width


@given(fitting_messages())
def test_a_fitting_message_is_read_right(msg):
    cloud = read_points(msg)
    check_read(msg, cloud)
    number = len(cloud.xyz)
    labelled = append_fields(cloud, np.arange(number).astype(np.uint8), np.linspace(0, 1, number, dtype=np.float32))
    again = read_points(labelled)
    assert np.array_equal(again.xyz, cloud.xyz, equal_nan=True)
    if number:
        assert again.points["label"].tolist() == [index % 256 for index in range(number)]


@given(fitting_messages(), st.floats(0, 2e9))
def test_times_and_labels_of_any_bytes_are_refused_or_make_sense(msg, stamp):
    cloud = read_points(msg)
    try:
        times = read_times(cloud, stamp)
        assert times is None or (times.shape == (len(cloud.xyz),) and np.isfinite(times).all())
    except PointCloud2Error:
        pass
    try:
        labels = labels_of(cloud)
        assert labels is None or np.array_equal(labels, cloud.points["label"])
    except ScanError:
        pass
