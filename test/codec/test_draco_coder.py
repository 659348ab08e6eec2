# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draco tiles: within their bytes and their bound, labels kept, the same from process to process, damage refused."""

import hashlib
import subprocess
import sys

import DracoPy
import numpy as np
import pytest
from scipy.spatial import cKDTree

from kpconv_ros.codec.draco_coder import (
    NUM_RUNGS,
    DracoCoder,
    cell_size,
    encode_at,
    encode_cloud,
    occupied_cells,
)
from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.tile import TILE_SIZE, TileContent


def street_tile(num_points=4000, seed=0, ground=-31.4):
    """Ground (label 1) and a wall (label 2)."""
    random = np.random.default_rng(seed)
    points = random.uniform((0, 0, ground), (TILE_SIZE, TILE_SIZE, ground + 0.1), (num_points, 3))
    wall = np.arange(num_points) % 3 == 0
    points[wall, 1] = 15.0
    points[wall, 2] = random.uniform(ground, ground + 6.0, wall.sum())
    return TileContent(points.astype(np.float32), np.where(wall, 2, 1).astype(np.uint8))


def distances(source, target):
    return cKDTree(target.points).query(source.points)


@pytest.mark.parametrize("rung", [0, 7, 13, NUM_RUNGS - 1])
def test_every_point_has_a_decoded_one_within_half_a_diagonal_and_the_reverse(rung):
    tile = street_tile()
    decoded = DracoCoder().decode(encode_at(tile, rung))
    bound = cell_size(rung) * np.sqrt(3) / 2
    assert distances(tile, decoded)[0].max() <= bound + 1e-4
    reach = bound if rung < NUM_RUNGS - 1 else 2 * bound  # a centre beyond the edge of the tile moves to the edge
    assert distances(decoded, tile)[0].max() <= reach + 1e-4


@pytest.mark.parametrize("max_bytes", [200, 300, 500, 1000, 3000, 20000])
def test_payloads_keep_to_their_bytes_and_more_bytes_are_finer(max_bytes):
    tile, coder = street_tile(), DracoCoder()
    payload, smaller = coder.encode(tile, max_bytes), coder.encode(tile, max_bytes // 2)
    assert len(payload) <= max_bytes
    if smaller is not None:
        errors = [distances(tile, coder.decode(data))[0].mean() for data in (payload, smaller)]
        assert errors[0] <= errors[1]


def test_too_few_bytes_give_none():
    assert DracoCoder().encode(street_tile(), 60) is None


def test_cells_take_the_most_frequent_label():
    points = np.array([[0.1, 0.1, 0.1]] * 3 + [[0.9, 0.1, 0.1]] * 2 + [[5.0, 5.0, -0.1]], np.float32)
    cells = occupied_cells(TileContent(points, np.array([3, 9, 3, 8, 7, 5], np.uint8)), 0.5)
    assert cells.lowest == -1
    found = {tuple(index): label for index, label in zip(cells.indices.tolist(), cells.labels.tolist())}
    assert found == {(0, 0, 1): 3, (1, 0, 1): 7, (10, 10, 0): 5}


def test_labels_come_back_at_their_places():
    tile = street_tile()
    decoded = DracoCoder().decode(encode_at(tile, 4))
    _, nearest = distances(decoded, tile)
    agree = decoded.labels == tile.labels[nearest]
    assert agree.mean() > 0.97 and set(decoded.labels) == {1, 2}


@pytest.mark.parametrize("point", [(0.0, 0.0, 0.0), (TILE_SIZE, TILE_SIZE, -1000.0), (3.0, 4.0, 2500.0)])
def test_one_point_at_any_place_comes_back(point):
    tile = TileContent(np.array([point], np.float32), np.array([255], np.uint8))
    decoded = DracoCoder().decode(DracoCoder().encode(tile, 1000))
    assert decoded.labels.tolist() == [255]
    assert np.abs(decoded.points - tile.points).max() <= cell_size(0) / 2 + 1e-3


@pytest.mark.parametrize(
    "points",
    [np.zeros((0, 3)), [[np.nan, 0, 0]], [[-0.1, 0, 0]], [[0, 20.1, 0]], [[1, 1, np.inf]], [[1, 1, 0], [1, 1, 401]]],
)
def test_what_is_no_tile_is_refused(points):
    points = np.asarray(points, np.float32)
    with pytest.raises(CodecError):
        DracoCoder().encode(TileContent(points, np.zeros(len(points), np.uint8)), 10_000)


def test_cut_payloads_are_refused():
    payload = DracoCoder().encode(street_tile(500), 600)
    for length in range(len(payload)):
        with pytest.raises(CodecError):
            DracoCoder().decode(payload[:length])


def test_damaged_payloads_give_a_tile_or_a_codec_error():
    """The packet's checksum refuses them before; should one come through, nothing else may happen."""
    payload = DracoCoder().encode(street_tile(500), 600)
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(payload)
        damaged[random.integers(len(payload))] ^= 1 << int(random.integers(8))
        try:
            DracoCoder().decode(bytes(damaged))
        except CodecError:
            continue


def test_a_whole_cloud_keeps_every_place():
    tile = street_tile(3000)
    data = encode_cloud(tile.points, 0.05)
    decoded = np.asarray(DracoPy.decode(data).points) * 0.05 + tile.points.min(axis=0)
    assert 2900 < len(decoded) <= 3000 and len(data) < 3000 * 12 / 2
    assert cKDTree(decoded).query(tile.points)[0].max() <= 0.05 * np.sqrt(3) / 2 + 1e-4
    with pytest.raises(CodecError):
        encode_cloud(np.full((2, 3), np.nan), 0.05)


def test_another_process_decodes_the_same_bits():
    payload = DracoCoder().encode(street_tile(), 900)
    here = hashlib.sha256(b"".join(column.tobytes() for column in DracoCoder().decode(payload))).hexdigest()
    code = (
        "import sys, hashlib; from kpconv_ros.codec.draco_coder import DracoCoder;"
        "tile = DracoCoder().decode(bytes.fromhex(sys.argv[1]));"
        "print(hashlib.sha256(b''.join(column.tobytes() for column in tile)).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", code, payload.hex()], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == here
