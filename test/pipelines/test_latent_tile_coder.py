# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles as codes of a small untrained NeuralQAAD keep every promise of a coder; the shipped one is also near."""

from functools import cache

import numpy as np
import pytest
import torch

from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.tile import TILE_SIZE, TileContent
from kpconv_ros.data.street_maps import StreetMapConfig, cut_tiles, draw_points, simulate_map
from kpconv_ros.data.subtile_set import SubtileSet
from kpconv_ros.evaluation.tile_distortion import measure_distortion
from kpconv_ros.map_codec_checkpoint import MapCodec
from kpconv_ros.networks.neural_qaad import NeuralQAADConfig, split_into_patches
from kpconv_ros.networks.subtile_codec import SubtileCodecConfig, start_decoder
from kpconv_ros.pipelines.latent_tile_coder import LatentTileCoder
from kpconv_ros.pipelines.subtile_coder import LatentTileCoderConfig
from kpconv_ros.training.code_tables import make_tables

SMALL = SubtileCodecConfig(
    NeuralQAADConfig(num_patches=4, points_per_patch=32, latent_size=6, shared_widths=(16,), patch_widths=(8,)),
    encoder_widths=(16,),
    levels=3,
)


@cache
def small_codec() -> MapCodec:
    torch.manual_seed(0)
    codec = MapCodec(SMALL)
    start_decoder(codec.network, split_into_patches(torch.rand(128, 3) * 4 - 2, 4))
    generator = np.random.default_rng(0)
    points = generator.uniform(-2.5, 2.5, (40, 100, 3)).astype(np.float16)
    counts = generator.integers(0, 2000, (30, 16))
    codec.fill(make_tables(codec.network, SubtileSet(points, np.full(40, 1024, np.float32), counts, counts // 500)))
    return codec.requires_grad_(False)


def small_coder(steps: int = 2) -> LatentTileCoder:
    return LatentTileCoder([small_codec()], 7, LatentTileCoderConfig(steps=steps, decoded_points=8))


def make_tile(num: int = 4000, labelled: bool = False) -> TileContent:
    generator = np.random.default_rng(3)
    points = (generator.random((num, 3)) * [TILE_SIZE, 7.0, 3.0]).astype(np.float32)  # y beyond 7 m is empty
    labels = np.where(points[:, 2] > 1.5, 5, 9) if labelled else np.zeros(num)
    return TileContent(points, labels.astype(np.uint8))


@pytest.mark.parametrize("max_bytes", [40, 60, 100])
def test_a_payload_keeps_to_its_bytes_and_is_the_same_each_time(max_bytes: int) -> None:
    payload = small_coder().encode(make_tile(), max_bytes)
    assert payload is not None and len(payload) <= max_bytes
    assert payload == small_coder().encode(make_tile(), max_bytes)
    one, other = (small_coder().decode(payload) for _ in range(2))
    assert np.array_equal(one.points, other.points) and one.labels.max() == 0


def test_what_does_not_fit_is_not_sent() -> None:
    assert small_coder().encode(make_tile(), 5) is None


def test_empty_space_stays_empty_and_density_comes_back() -> None:
    coder, tile = small_coder(), make_tile()
    payload = coder.encode(tile, 200)
    assert payload is not None
    decoded = coder.decode(payload).points
    assert 0.7 * len(tile.points) < len(decoded) < 1.45 * len(tile.points)
    assert decoded[:, :2].min() >= 0 and decoded[:, :2].max() <= TILE_SIZE
    along = np.histogram(decoded[:, 1], bins=4, range=(0, TILE_SIZE))[0]  # two of four rows of sub-tiles have points
    assert along[3] == 0 and along[0] > 0.4 * len(decoded)


def test_labels_ride_along_where_there_is_room() -> None:
    coder, tile = small_coder(), make_tile(labelled=True)
    payload = coder.encode(tile, 300)
    assert payload is not None and set(np.unique(coder.decode(payload).labels)) <= {5, 9}
    short = coder.encode(tile, 100)
    assert short is not None and coder.decode(short).labels.max() == 0


def test_a_roof_far_above_the_ground_is_coded() -> None:
    tile = make_tile()
    tile.points[tile.points[:, 0] > 15, 2] += 40.0
    payload = small_coder().encode(tile, 200)
    assert payload is not None
    assert small_coder().decode(payload).points[:, 2].max() > 10.0


@pytest.mark.parametrize("count", [1, 2, 40])
def test_tiles_of_few_points_are_coded(count: int) -> None:
    coder = small_coder()
    payload = coder.encode(TileContent(np.full((count, 3), 3.25, np.float32), np.zeros(count, np.uint8)), 60)
    assert payload is not None and 1 <= len(coder.decode(payload).points) <= 64


def test_nonsense_is_refused() -> None:
    coder = small_coder()
    with pytest.raises(CodecError, match="finite"):
        coder.encode(TileContent(np.full((4, 3), np.nan, np.float32), np.zeros(4, np.uint8)), 100)
    for payload in (b"", b"\0", bytes(range(200))):
        with pytest.raises(CodecError):
            coder.decode(payload)


def test_the_shipped_coder_is_near_at_256_bytes() -> None:
    street = simulate_map(9990, StreetMapConfig(scans=4))
    largest = max(cut_tiles(street).values(), key=lambda content: len(content.points))
    points = draw_points(largest, 8192, np.random.default_rng(0)).points
    tile = TileContent(points, np.zeros(len(points), np.uint8))
    chamfers = []
    for steps in (0, 10):
        coder = LatentTileCoder.from_pretrained(config=LatentTileCoderConfig(steps=steps))
        payload = coder.encode(tile, 256)
        assert payload is not None and len(payload) <= 256
        chamfers.append(measure_distortion(tile.points, coder.decode(payload).points).chamfer_m)
    assert max(chamfers) < 0.3, chamfers
