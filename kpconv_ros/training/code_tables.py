# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often each symbol of an encoded tile occurs, counted over the sub-tiles of a training."""

import numpy as np
import torch

from kpconv_ros.codec.latent_payload import (
    GROUND_REACH,
    NUM_CLASSES,
    LatentTables,
    classes_of,
    contexts_of,
    ground_differences,
)
from kpconv_ros.codec.range_coder import frequencies_of
from kpconv_ros.data.subtile_set import TILE_POINTS, SubtileSet
from kpconv_ros.map_codec_checkpoint import FINE, num_fine_levels
from kpconv_ros.networks.subtile_codec import SubtileCodec, describe_subtiles

PRIOR = 0.02
"""Added to each count, as what was not seen may come yet."""
BATCH = 512


@torch.no_grad()
def make_tables(network: SubtileCodec, data: SubtileSet) -> LatentTables:
    """Count symbols, with a trained network."""
    classes, grounds = _count_classes(data), _count_grounds(data)
    return LatentTables(
        frequencies_of(classes + PRIOR),
        frequencies_of(grounds + PRIOR)[None],
        frequencies_of(_count_numbers(network, data) + PRIOR),
        _share_bounds(num_fine_levels(network.config), network.config.log_price_step / FINE),
        network.config.side,
    )


def _share_bounds(levels: int, log_step: float) -> np.ndarray:
    """Return at which shares of a sub-tile the price of a bit, which is inverse to it, is that of the next level."""
    places = np.arange(-(levels - 1), levels - 1) + 0.5
    bounds = np.round(4096 * np.exp(places * log_step)).clip(1, 1 << 30)
    return np.asarray(bounds, np.int32)


def _count_classes(data: SubtileSet) -> np.ndarray:
    """Count classes by the class before, of the tiles as they are and with 16,384 points, ``(17, 17)``."""
    table = np.zeros((NUM_CLASSES, NUM_CLASSES))
    for counts in data.tile_counts:
        resampled = np.ceil(counts * (TILE_POINTS / counts.sum())).astype(np.int64)
        for version in (counts, resampled):
            classes = classes_of(version)
            np.add.at(table, (contexts_of(classes), classes), 1)
    return table


def _count_grounds(data: SubtileSet) -> np.ndarray:
    table = np.zeros(256)
    for counts, grounds in zip(data.tile_counts, data.tile_grounds, strict=True):
        differences = ground_differences(counts > 0, grounds)
        np.add.at(table, differences.clip(-GROUND_REACH, GROUND_REACH) + GROUND_REACH, 1)
    return table


def _count_numbers(network: SubtileCodec, data: SubtileSet) -> np.ndarray:
    """Count rounded numbers, ``(levels, L, 2 most + 1)``."""
    levels, most = num_fine_levels(network.config), network.config.most
    size = network.config.decoder.latent_size
    table = np.zeros((levels, size, 2 * most + 1))
    columns = np.arange(size)
    for first in range(0, len(data.points), BATCH):
        points = torch.from_numpy(data.points[first : first + BATCH].astype(np.float32))
        counts = torch.from_numpy(data.counts[first : first + BATCH])
        codes = network.encode(describe_subtiles(points, counts, network.config))
        for level in range(levels):
            rounded = network.scale(codes, torch.full((len(codes),), level / FINE)).round()
            np.add.at(table[level], (columns, rounded.long().numpy() + most), 1)
    return table
