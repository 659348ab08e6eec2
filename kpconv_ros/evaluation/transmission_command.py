# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros test transmission``: rate and distortion of map tiles, NeuralQAAD beside other coders."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from kpconv_ros.codec.draco_coder import DracoCoder
from kpconv_ros.codec.packet import Packet, pack_packet
from kpconv_ros.codec.tile import TileContent, TileKey
from kpconv_ros.data.cached_maps import load_simulated_maps
from kpconv_ros.data.street_maps import StreetMap, StreetMapConfig, cut_tiles, draw_points, kitti_map
from kpconv_ros.data.subtile_set import TILE_POINTS, SubtileSetConfig, load_subtiles
from kpconv_ros.evaluation.pca_tiles import PcaTileCoder
from kpconv_ros.evaluation.rate_pictures import draw_rates
from kpconv_ros.evaluation.results_file import write_results
from kpconv_ros.evaluation.tile_cells import OctreeCoder, VoxelKeyCoder
from kpconv_ros.evaluation.tile_distortion import measure_distortion, measure_emkd
from kpconv_ros.map_codec_checkpoint import load_map_codec
from kpconv_ros.pipelines.latent_tile_coder import LatentTileCoder
from kpconv_ros.pipelines.subtile_coder import LatentTileCoderConfig

BUDGETS = (64, 128, 256, 512, 1024, 4096)
"""Bytes of a packet."""
KEYS = {"real": "at_bytes", "simulated": "at_bytes_simulated"}
SEQUENCE = 1000  # a packet's number: two bytes, as most have
STEP_BUDGETS = (128, 512)
"""Of the comparison of how long encoding may take."""
TRAINED = ("00", "01", "02", "03", "05", "06")
HELD_OUT = ("04", "07", "09")


class Coder(Protocol):
    """What is measured."""

    @property
    def name(self) -> str:
        """Of the row in the table."""

    def encode(self, content: TileContent, max_bytes: int) -> bytes | None:
        """As of a TileCoder."""

    def decode(self, payload: bytes) -> TileContent:
        """As of a TileCoder."""


class NamedCoder(NamedTuple):
    """A latent coder under the name of its weights."""

    name: str
    coder: LatentTileCoder

    def encode(self, content: TileContent, max_bytes: int) -> bytes | None:
        """As of a TileCoder."""
        return self.coder.encode(content, max_bytes)

    def decode(self, payload: bytes) -> TileContent:
        """As of a TileCoder."""
        return self.coder.decode(payload)


class Measured(NamedTuple):
    """A payload and what was measured of it."""

    payload: bytes
    values: dict[str, float]


class Tile(NamedTuple):
    """A tile that is measured."""

    key: TileKey
    content: TileContent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--kitti", type=Path, required=True, help="folder of SemanticKITTI, with poses")
    parser.add_argument("--sequences", nargs="+", default=HELD_OUT, help="whose tiles are measured")
    parser.add_argument("--seeds", nargs=2, type=int, default=(9000, 9010), help="simulated streets: first, end")
    parser.add_argument("--models", nargs="+", default=["street_tiles"], help="names or folders of latent coders")
    parser.add_argument("--steps", type=int, help="steps of descent, in place of the coder's default")
    parser.add_argument("--step-counts", nargs="+", type=int, help="compare these on the real tiles, and nothing else")
    parser.add_argument("--tiles", type=int, default=20, help="most tiles of either kind, evenly taken")
    parser.add_argument("--emkd-tiles", type=int, default=4, help="of these, how many have their EM-kD measured")
    parser.add_argument("--emkd-cell", type=int, default=1024, help="points of a cell of the EM-kD")
    parser.add_argument("--kinds", nargs="+", choices=list(KEYS), default=list(KEYS), help="which tiles are measured")
    parser.add_argument("--peer-streets", type=int, default=20, help="simulated streets that peers are fitted to")
    parser.add_argument("--cache", type=Path, help="folder of the simulated maps, in place of the user's cache")
    parser.add_argument("--results", type=Path, help="JSON file whose keys 'at_bytes' ... are written")
    parser.add_argument("--picture", type=Path, help="picture of the curves to write, of what --results has then")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    config = StreetMapConfig()
    streets = load_simulated_maps(range(*args.seeds), config, args.cache)
    maps = {"real": (kitti_map(args.kitti, name, config) for name in args.sequences), "simulated": streets}
    origins = {"real": {"sequences": list(args.sequences)}, "simulated": {"seeds": list(args.seeds)}}
    if args.step_counts:
        tiles = choose_tiles(maps["real"], args.tiles)
        rows = compare_steps(args.models, args.step_counts, tiles)
        if args.results:
            about = origins["real"] | {"tiles": len(tiles), "command": shlex.join(["kpconv-ros", *sys.argv[1:]])}
            write_results(args.results, {"encoding_steps": rows, "encoding_steps_of": about})
        return 0
    coders = make_coders(args)
    for kind in args.kinds:
        tiles = choose_tiles(maps[kind], args.tiles)
        about = origins[kind] | {
            "tiles": len(tiles),
            "points": TILE_POINTS,
            "emkd_tiles": args.emkd_tiles,
            "emkd_cell": args.emkd_cell,
            "peers_fitted_to": {"sequences": list(TRAINED), "seeds": [8000, 8000 + args.peer_streets]},
            "seed": 0,
            "command": shlex.join(["kpconv-ros", *sys.argv[1:]]),
        }
        rows = measure_all(coders, tiles, args.emkd_tiles, args.emkd_cell)
        if args.results:
            write_results(args.results, {KEYS[kind]: rows, f"rate_distortion_{kind}": about})
    if args.picture:
        results = json.loads(args.results.read_text(encoding="utf-8"))
        draw_rates(results[KEYS["real"]], results[KEYS["simulated"]], args.picture)
    return 0


def choose_tiles(maps: Iterator[StreetMap], most: int) -> list[Tile]:
    """Cut maps into tiles that have enough points, take some of all, and bring them to 16,384 points."""
    generator = np.random.default_rng(0)
    tiles = [
        Tile(key, without_labels(draw_points(content, TILE_POINTS, generator)))
        for street in maps
        for key, content in cut_tiles(street, TILE_POINTS).items()
    ]
    return [tiles[i * len(tiles) // most] for i in range(most)] if len(tiles) > most else tiles


def without_labels(content: TileContent) -> TileContent:
    """Return the points alone: what labels cost is no matter of these tables."""
    return content._replace(labels=np.zeros_like(content.labels))


def make_coders(args: argparse.Namespace) -> list[Coder]:
    """Load the latent coders, and fit their peers to what the latent coders were trained on."""
    config = SubtileSetConfig(
        streets=args.peer_streets, street_turns=1, sequences=TRAINED, sequence_turns=2, points=512, side=8
    )
    data = load_subtiles(config, args.kitti, args.cache)
    maps = [kitti_map(args.kitti, name, config.maps) for name in TRAINED]
    octree = OctreeCoder(tile.content.points for tile in choose_tiles(iter(maps), 40))
    steps = None if args.steps is None else LatentTileCoderConfig(steps=args.steps)
    latent = [
        NamedCoder(f"neural_qaad {Path(name).name}", LatentTileCoder.from_pretrained(name, steps))
        for name in args.models
    ]
    tables = load_map_codec(args.models[0])[0].read_tables()
    return [*latent, PcaTileCoder(data, tables), octree, VoxelKeyCoder(), DracoCoder()]


def compare_steps(
    models: Sequence[str], counts: Sequence[int], tiles: Sequence[Tile]
) -> dict[str, list[dict[str, Any]]]:
    """Return rows of each budget for numbers of steps of descent, without EM-kD."""
    table: dict[str, list[dict[str, Any]]] = {str(budget): [] for budget in STEP_BUDGETS}
    for name in models:
        for steps in counts:
            config = LatentTileCoderConfig(steps=steps)
            coder = NamedCoder(f"{Path(name).name}, {steps} steps", LatentTileCoder.from_pretrained(name, config))
            coder.encode(tiles[0].content, STEP_BUDGETS[0])  # loads what is compiled
            for budget in STEP_BUDGETS:
                row = measure_row(coder, tiles, budget, 0, 1, {})
                if row is not None:
                    table[str(budget)].append(row)
                    print(budget, describe(row), flush=True)
    return table


def measure_all(
    coders: Sequence[Coder], tiles: Sequence[Tile], emkd_tiles: int, emkd_cell: int
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each budget; a coder that cannot code all tiles has none."""
    table: dict[str, list[dict[str, Any]]] = {}
    known: dict[str, dict[int, Measured]] = {}
    for budget in BUDGETS:
        table[str(budget)] = []
        for coder in coders:
            row = measure_row(coder, tiles, budget, emkd_tiles, emkd_cell, known.setdefault(coder.name, {}))
            if row is not None:
                table[str(budget)].append(row)
                print(budget, describe(row), flush=True)
    return table


def measure_row(
    coder: Coder,
    tiles: Sequence[Tile],
    budget: int,
    emkd_tiles: int,
    emkd_cell: int,
    known: dict[int, Measured],
) -> dict[str, Any] | None:
    """Encode and decode tiles, each in a packet of at most ``budget`` bytes; return means, CPU time.

    What is known of the last payload of a tile is not measured again.
    """
    sums: dict[str, list[float]] = {}
    for number, tile in enumerate(tiles):
        packet = Packet(1, 1 << 31, tile.key, SEQUENCE, b"")
        around = len(pack_packet(packet))
        started = time.process_time()
        payload = coder.encode(tile.content, budget - around)
        encoded = time.process_time()
        if payload is None:
            return None
        if number not in known or known[number].payload != payload:
            has_emkd = number * emkd_tiles // len(tiles) != (number - 1) * emkd_tiles // len(tiles)
            values = measure_payload(coder, tile, payload, emkd_cell if has_emkd else 0)
            known[number] = Measured(payload, values | {"bytes": len(payload) + around})
        for name, value in (known[number].values | {"encode_ms": 1e3 * (encoded - started)}).items():
            sums.setdefault(name, []).append(value)
    means = {name: round(float(np.mean(values)), 4) for name, values in sums.items()}
    order = ("bytes", "chamfer_m", "d1_m", "within_20_cm", "emkd_m", "encode_ms", "decode_ms")
    return {"codec": coder.name, **{name: means[name] for name in order if name in means}}


def measure_payload(coder: Coder, tile: Tile, payload: bytes, emkd_cell: int) -> dict[str, float]:
    """Decode and compare; without EM-kD if the points of a cell are 0."""
    started = time.process_time()
    decoded = coder.decode(payload).points
    values: dict[str, float] = {"decode_ms": 1e3 * (time.process_time() - started)}
    values |= measure_distortion(tile.content.points, decoded)._asdict()
    if emkd_cell:
        values["emkd_m"] = measure_emkd(tile.content.points, decoded, emkd_cell)
    return values


def describe(row: Mapping[str, Any]) -> str:
    """Return a line of the table."""
    return "  ".join(
        f"{name} {value}" if isinstance(value, str) else f"{name} {value:.3f}" for name, value in row.items()
    )
