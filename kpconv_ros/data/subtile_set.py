# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sub-tiles of many street maps, in memory: what a coder of map tiles is trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from tqdm import tqdm

from kpconv_ros.codec.subtiles import draw_rows, split_tile
from kpconv_ros.config_io import param
from kpconv_ros.data.cached_maps import load_simulated_maps
from kpconv_ros.data.street_maps import StreetMap, StreetMapConfig, cut_tiles, kitti_map, turn_map

Array = NDArray[Any]
TILE_POINTS = 16384
"""Points of a tile, for which sizes of sub-tiles are told."""
LEAST_IN_SUBTILE = 16


@dataclass(frozen=True)
class SubtileSetConfig:
    """Which maps, and how they are cut."""

    maps: StreetMapConfig = param(StreetMapConfig, "how scans become a map")
    streets: int = param(80, "simulated streets", 0)
    first_seed: int = param(8000, "seed of the first street; the others follow", 0)
    street_turns: int = param(3, "grids, turned and shifted at random, that each of them is cut by", 1)
    sequences: tuple[str, ...] = param((), "sequences of SemanticKITTI, where its folder is given")
    sequence_turns: int = param(32, "grids that each of them is cut by", 1)
    tile_points: int = param(2048, "least points of a tile", 1)
    points: int = param(768, "points that are kept of a sub-tile", 16)
    side: int = param(4, "sub-tiles along an edge of a tile", 1)
    seed: int = param(0, "of grids and points", 0)


class SubtileSet(NamedTuple):
    """Sub-tiles of many tiles."""

    points: NDArray[np.float16]
    """``(S, points, 3)``, metres from middle and ground of the sub-tile, repeated where there are fewer."""
    counts: NDArray[np.float32]
    """Points of each, if its tile had 16,384, ``(S,)``."""
    tile_counts: NDArray[np.int64]
    """Points of the sub-tiles of each tile, ``(T, side^2)``."""
    tile_grounds: NDArray[np.int64]
    """Grounds of the sub-tiles of each tile in steps, ``(T, side^2)``."""


def load_subtiles(config: SubtileSetConfig, kitti: Path | None, cache: Path | None = None) -> SubtileSet:
    """Cut all maps of a config.

    Args:
        config: Which maps.
        kitti: Folder of SemanticKITTI, if the config names sequences.
        cache: Folder of simulated maps; None is that of the user.
    """
    generator = default_rng(config.seed)
    parts: list[tuple[Array, Array, Array, Array]] = []
    for street in tqdm(_turned_maps(config, kitti, cache, generator), desc="cutting maps", mininterval=5):
        for tile in cut_tiles(street, config.tile_points).values():
            split = split_tile(tile.points, config.side)
            kept = np.flatnonzero(split.counts >= LEAST_IN_SUBTILE)
            starts = np.cumsum(split.counts) - split.counts
            points = np.zeros((len(kept), config.points, 3), np.float16)
            for row, subtile in enumerate(kept):
                order = generator.permutation(split.counts[subtile])
                points[row] = split.points[starts[subtile] + order[draw_rows(len(order), config.points)]]
            parts.append((points, split.counts[kept] * (TILE_POINTS / len(tile.points)), split.counts, split.grounds))
    columns = [list(column) for column in zip(*parts, strict=True)]
    counts = np.concatenate(columns[1]).astype(np.float32)
    return SubtileSet(np.concatenate(columns[0]), counts, np.stack(columns[2]), np.stack(columns[3]))


def _turned_maps(
    config: SubtileSetConfig, kitti: Path | None, cache: Path | None, generator: Generator
) -> Iterator[StreetMap]:
    seeds = range(config.first_seed, config.first_seed + config.streets)
    for street in load_simulated_maps(seeds, config.maps, cache):
        yield from _turn(street, config.street_turns, generator)
    for sequence in config.sequences if kitti is not None else ():
        assert kitti is not None
        yield from _turn(kitti_map(kitti, sequence, config.maps), config.sequence_turns, generator)


def _turn(street: StreetMap, turns: int, generator: Generator) -> Iterator[StreetMap]:
    for _ in range(turns):
        shift = generator.uniform(0.0, 20.0, 2)
        yield turn_map(street, float(generator.uniform(0.0, 2 * np.pi)), (float(shift[0]), float(shift[1])))
