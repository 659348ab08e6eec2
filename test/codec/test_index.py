# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of what was sent."""

import pytest

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.index import Index, pack_index, unpack_index
from kpconv_ros.codec.tile import TileKey

TILES = [(TileKey(-5, 2), 900), (TileKey(-4, 2), 1000), (TileKey(40, -70), 7), (TileKey(40, -69), 0)]


def test_an_index_comes_back():
    index = Index("odom", 1000, TILES)
    assert unpack_index(pack_index(index)) == index
    assert unpack_index(pack_index(Index("", 0, []))) == Index("", 0, [])


def test_neighbours_of_a_map_take_three_to_five_bytes_each():
    sequences = [(TileKey(x, y), 500 - 3 * x) for x in range(10) for y in range(4)]
    assert len(pack_index(Index("odom", 500, sequences))) == 1 + 4 + 2 + 3 * len(sequences)


def test_a_cut_entry_is_refused():
    data = pack_index(Index("odom", 1000, TILES))
    whole = {len(pack_index(Index("odom", 1000, TILES[:count]))) for count in range(len(TILES) + 1)}
    for length in set(range(len(data))) - whole:
        with pytest.raises(CodecError):
            unpack_index(data[:length])


@pytest.mark.parametrize("data", [b"", b"\x02\xff\xfe\x00", b"\x00\x05\x00\x00\x06"])
def test_other_bytes_are_refused(data):
    with pytest.raises(CodecError):
        unpack_index(data)
