# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of few bytes."""

import pytest

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.varint import MAX_VARINT, pack_signed, pack_varint, unpack_signed, unpack_varint


@pytest.mark.parametrize(
    ("value", "data"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (MAX_VARINT, "ffffffff0f")]
)
def test_bytes_by_hand(value, data):
    assert pack_varint(value).hex() == data
    assert unpack_varint(bytes.fromhex("aa" + data), 1) == (value, 1 + len(data) // 2)


@pytest.mark.parametrize(("value", "data"), [(0, "00"), (-1, "01"), (1, "02"), (-2, "03"), (-64, "7f"), (64, "8001")])
def test_signed_bytes_by_hand(value, data):
    assert pack_signed(value).hex() == data
    assert unpack_signed(bytes.fromhex(data), 0) == (value, len(data) // 2)


@pytest.mark.parametrize("data", ["", "80", "ffffffffff01", "ffffffff1f", "8000", "ff00"])
def test_cut_long_and_large_numbers_are_refused(data):
    with pytest.raises(CodecError):
        unpack_varint(bytes.fromhex(data), 0)


@pytest.mark.parametrize("value", [-1, MAX_VARINT + 1])
def test_numbers_outside_are_refused(value):
    with pytest.raises(CodecError, match=str(value)):
        pack_varint(value)
