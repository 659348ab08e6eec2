# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Payloads of encoded tiles: they come back whole, and nothing else is taken for one."""

import numpy as np
import pytest

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.latent_payload import (
    MOST_POINTS,
    PARTS,
    LatentTables,
    LatentTile,
    classes_of,
    contexts_of,
    counts_of,
    ground_differences,
    levels_of,
    pack_tile,
    parts_of,
    reach_grounds,
    size_of,
    unpack_tile,
)
from kpconv_ros.codec.range_coder import frequencies_of

LEVELS, NUMBERS, MOST, PATCHES = 5, 6, 4, 8


def tables() -> LatentTables:
    generator = np.random.default_rng(0)
    return LatentTables(
        frequencies_of(generator.random((17, 17))),
        frequencies_of(generator.random((1, 256))),
        frequencies_of(generator.random((LEVELS, NUMBERS, 2 * MOST + 1)) ** 4),
        np.array([1024, 2048, 8192, 16384], np.int32),
        4,
    )


def tile(seed: int, labelled: bool = False, filled: int = 16, level: int = 2) -> LatentTile:
    generator = np.random.default_rng(seed)
    classes = np.zeros(16, np.int64)
    chosen = np.sort(generator.choice(16, filled, replace=False))
    classes[chosen] = generator.integers(1, 17, filled)
    grounds = np.where(classes > 0, generator.integers(-60, 60, 16), 0)
    labels = generator.integers(0, 4, (filled, PATCHES)).astype(np.uint8) if labelled else None
    numbers = generator.integers(-MOST, MOST + 1, (filled, NUMBERS))
    told = PARTS >> (0, 0, 1, 2, 3)[level]  # the finer the level, the more parts are told apart
    return LatentTile(level, classes, grounds, numbers, generator.integers(0, PARTS, filled) // told * told, labels)


@pytest.mark.parametrize("filled", [1, 5, 16])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_tile_comes_back(filled: int, labelled: bool) -> None:
    for seed in range(LEVELS):
        given = tile(seed, labelled, filled, level=seed)
        payload = pack_tile(given, tables())
        found = unpack_tile(payload, tables(), PATCHES)
        for one, other in zip(given, found, strict=True):
            assert np.array_equal(one, other) if one is not None else other is None
        if not labelled:
            assert abs(len(payload) - size_of(given, tables())) <= 2


def test_what_is_no_payload_is_refused_and_never_anything_worse() -> None:
    payload = pack_tile(tile(1, labelled=True), tables())
    refused = 0
    for cut in range(len(payload)):
        try:  # a few cuts are the payloads of other tiles, which only the checksum of a packet tells
            assert pack_tile(unpack_tile(payload[:cut], tables(), PATCHES), tables()) == payload[:cut]
        except CodecError:
            refused += 1
    assert refused >= 0.8 * len(payload)
    with pytest.raises(CodecError, match="cut off or altered"):
        unpack_tile(payload + b"\1", tables(), PATCHES)


@pytest.mark.parametrize("level, octaves", [(0, 0.5), (2, 0.25), (4, 0.0625)])
def test_counts_are_told_the_more_exactly_the_finer_the_level(level: int, octaves: float) -> None:
    counts = np.array([0, 32, 45, 46, 63, 100, 1000, 20000, MOST_POINTS, *[64] * 7])
    none = np.zeros((15, 0), np.int64)
    given = LatentTile(level, classes_of(counts), np.zeros(16, np.int64), none, parts_of(counts))
    told = counts_of(given, tables())
    assert np.abs(np.log2(told / counts[1:])).max() <= octaves + 0.02  # told numbers are whole
    assert np.abs(np.log2(told / counts[1:])).max() > 0.4 * octaves
    few = np.array([0, 1, 2, 3, 5])
    given = LatentTile(LEVELS - 1, classes_of(few), np.zeros(5, np.int64), none[:4], parts_of(few))
    assert counts_of(given, tables()).tolist() == [1, 2, 3, 5]
    with pytest.raises(CodecError, match=str(MOST_POINTS + 1)):
        classes_of(np.array([MOST_POINTS + 1]))


def test_sub_tiles_with_more_points_have_finer_levels() -> None:
    counts = np.array([4096, 1024, 256, 0, *[1024] * 10, 512, 256])  # mean 1,024 with the empty one
    levels = levels_of(2, classes_of(counts), tables())
    assert levels.tolist() == [4, 2, 1, *[2] * 10, 2, 1]  # 4 means: over two bounds; a quarter: under one of them
    assert levels_of(4, classes_of(counts), tables()).max() == LEVELS - 1


def test_grounds_are_guessed_from_the_neighbours_before() -> None:
    classes, grounds = np.zeros(16, np.int64), np.zeros(16, np.int64)
    classes[[1, 2, 5, 6, 8]] = 1
    grounds[[1, 2, 5, 6, 8]] = [10, 13, 20, 30, 7]
    # 2 from 1 beside it; 5 from 1 above it, as 4 is empty; 6 from 5 and 2; 8 from 6, the last one, as 4 has no points
    assert ground_differences(classes, grounds).tolist() == [3, 10, 30 - 16, 7 - 30]


def test_classes_are_guessed_from_the_mean_of_two_neighbours() -> None:
    classes = np.zeros(16, np.int64)
    classes[:6] = [8, 3, 0, 5, 4, 7]
    # (3 + 4) / 2 is rounded up; the first has none, those at the edges one
    assert contexts_of(classes)[:7].tolist() == [0, 8, 3, 0, 8, 4, 4]


def test_heights_that_cannot_be_told_are_refused() -> None:
    given = tile(0)
    steep = given._replace(grounds=np.where(np.arange(16) % 2, 200, 0))
    with pytest.raises(CodecError, match="grounds"):
        pack_tile(steep, tables())
    reached = reach_grounds(given.classes, steep.grounds)
    assert np.abs(ground_differences(given.classes, reached)).max() == 127
    assert np.array_equal(
        unpack_tile(pack_tile(given._replace(grounds=reached), tables()), tables(), 8).grounds, reached
    )
