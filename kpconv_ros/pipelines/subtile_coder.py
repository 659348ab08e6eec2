# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tile as codes of a NeuralQAAD: guessed by the encoder, improved by some steps of descent, rounded and written."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from kpconv_ros.codec.latent_payload import (
    MOST_POINTS,
    LatentTables,
    LatentTile,
    classes_of,
    count_place_bits,
    counts_of,
    levels_of,
    most_of,
    pack_tile,
    parts_of,
    reach_grounds,
    size_of,
    unpack_tile,
)
from kpconv_ros.codec.patch_labels import count_label_bits
from kpconv_ros.codec.subtiles import GROUND_STEP, Subtiles, draw_rows, origins_of, split_tile
from kpconv_ros.codec.tile import TILE_SIZE, TileContent
from kpconv_ros.config_io import param
from kpconv_ros.data.subtile_set import TILE_POINTS
from kpconv_ros.geometry.distances import mean_nearest_distances, random_directions, sliced_distances
from kpconv_ros.map_codec_checkpoint import FINE, MapCodec
from kpconv_ros.networks.subtile_codec import SubtileCodec, describe_subtiles

Array = NDArray[Any]
SEAM = 0.06
"""Decoded points keep off the edges of their sub-tile by about half of their spacing; they are spread by it, metres."""
CONFIG_SIZE = 2.5
"""Edge of the sub-tiles for which numbers of points are configured, metres; larger ones have more."""
LABELLED_POINTS = 128
"""Of a sub-tile, by which its patches find their labels."""


@dataclass(frozen=True)
class LatentTileCoderConfig:
    """How much time encoding takes."""

    steps: int = param(0, "steps of descent on the codes of a tile, after the encoder's guess", 0)
    step_size: float = param(0.1, "of the first one, in steps of rounding", 0.0)
    points: int = param(320, "points of each sub-tile that the encoder looks at", 16)
    target_points: int = param(256, "of these, that a step compares with", 16)
    decoded_points: int = param(12, "points of each patch that a step decodes", 1)
    seed: int = param(0, "of the points and the noise of the steps", 0)
    directions: int = param(8, "along which a step compares how dense points lie", 1)
    density_weight: float = param(0.4, "of that, beside the distances to nearest points", 0.0)
    label_bytes: int = param(48, "bytes that are left to the labels of patches", 0)
    least_bytes: int = param(192, "bytes of a tile from which on labels ride along", 0)


class Codes(NamedTuple):
    """A tile before rounding."""

    tile: LatentTile
    """All but its numbers."""
    points: Tensor
    """Points of the sub-tiles that are not empty, ``(S, n, 3)``."""
    codes: Tensor
    """``(S, L)``."""


class SubtileCoder:
    """A tile as codes of one network, for sub-tiles of its size."""

    def __init__(self, codec: MapCodec, variant: int, config: LatentTileCoderConfig) -> None:
        """Take weights and frequencies, and the number 0 or 1 that tells the payloads from those of another network."""
        self.config = config
        self._network: SubtileCodec = codec.network
        self._tables: LatentTables = codec.read_tables()._replace(variant=variant)
        self._more = max(1, round(self._network.config.size / CONFIG_SIZE))

    def encode(self, content: TileContent, max_bytes: int, in_part: bool) -> bytes | None:
        """Encode at the finest level that fits.

        Args:
            content: A tile.
            max_bytes: Most bytes.
            in_part: Whether small sub-tiles may have the likeliest codes where not even the coarsest level fits.

        Returns:
            None if it does not fit.
        """
        has_labels = max_bytes >= self.config.least_bytes and bool(content.labels.any())
        codes = self._guess(_reach(split_tile(content.points, self._tables.side)))
        if not in_part and size_of(self._round(codes, 0), self._tables) > max_bytes:
            return None
        if self.config.steps:
            codes = self._descend(self._fit_level(codes, max_bytes - has_labels * self.config.label_bytes))
        labels = self._label_patches(self._round(codes, codes.tile.level), content) if has_labels else None
        codes = self._fit_level(codes, max_bytes - (0 if labels is None else int(count_label_bits(labels) / 8)))
        for level in range(codes.tile.level, -1, -1):
            payload = pack_tile(self._round(codes, level)._replace(labels=labels), self._tables)
            if len(payload) <= max_bytes:
                return payload
        return self._pack_in_part(self._round(codes, 0), max_bytes) if in_part else None

    def decode(self, payload: bytes) -> TileContent:
        """Decode a payload of this network; a point has the label of its patch.

        Raises:
            CodecError: If it is none.
        """
        tile = unpack_tile(payload, self._tables, self._network.config.decoder.num_patches)
        points, subtiles, patches = self._decode_points(tile)
        labels = np.zeros(len(points), np.uint8) if tile.labels is None else tile.labels[subtiles, patches]
        return TileContent(points, labels)

    @torch.inference_mode()
    def _decode_points(self, tile: LatentTile, most: int = MOST_POINTS) -> tuple[NDArray[np.float32], Array, Array]:
        """Return points ``(N, 3)`` in the tile, and to which row of the codes and which patch each belongs.

        A sub-tile has evenly spread points of each patch, at most ``most`` together, or all and some of them again.
        """
        decoder, filled = self._network.config.decoder, np.flatnonzero(tile.classes)
        codes = self._network.unscale(torch.from_numpy(tile.numbers).float(), self._levels(tile))
        counts, origins = counts_of(tile, self._tables).clip(max=most), origins_of(tile.grounds)[filled]
        each = np.minimum(-(-counts // decoder.num_patches), decoder.points_per_patch)  # points of a patch
        parts: list[Array] = [np.zeros((0, 3))] * len(filled)
        for number in np.unique(each):
            rows = torch.from_numpy(draw_rows(decoder.points_per_patch, int(number))).repeat(decoder.num_patches, 1)
            alike = np.flatnonzero(each == number)
            decoded = self._network.decode(codes[torch.from_numpy(alike)], rows).transpose(1, 2)  # patches in turn
            decoded[..., :2] *= 1.0 + SEAM / (0.5 * self._network.config.size)
            for row, points in zip(alike, decoded.flatten(1, 2).numpy()):
                parts[row] = points[np.arange(counts[row]) % len(points)] + origins[row]
        points = np.concatenate(parts).astype(np.float32)
        points[:, :2] = points[:, :2].clip(0.0, TILE_SIZE)
        patches = np.concatenate([np.arange(count) % decoder.num_patches for count in counts])
        return points, np.repeat(np.arange(len(filled)), counts), patches

    def _label_patches(self, tile: LatentTile, content: TileContent) -> NDArray[np.uint8]:
        """Return the most frequent label of the given points that are nearest to those of a patch, ``(S, K)``."""
        points, subtiles, patches = self._decode_points(tile, LABELLED_POINTS)
        num_patches = self._network.config.decoder.num_patches
        labels = content.labels[cKDTree(content.points).query(points)[1]]
        votes = np.zeros((len(tile.numbers) * num_patches, int(labels.max()) + 1), np.int64)
        np.add.at(votes, (subtiles * num_patches + patches, labels), 1)
        return np.asarray(votes.argmax(1), np.uint8).reshape(-1, num_patches)

    @torch.inference_mode()
    def _guess(self, split: Subtiles) -> Codes:
        """Return what the encoder says, at the finest level."""
        filled, starts = np.flatnonzero(split.counts), np.cumsum(split.counts) - split.counts
        generator = np.random.default_rng(self.config.seed)
        drawn = [
            generator.permutation(count)[draw_rows(count, self.config.points * self._more)]
            for count in split.counts[filled]
        ]
        points = torch.from_numpy(split.points[np.stack(drawn) + starts[filled, None]])
        shares = split.counts[filled] * (TILE_POINTS / split.counts.sum())
        features = describe_subtiles(points, torch.from_numpy(shares).float(), self._network.config)
        finest = len(self._tables.numbers) - 1
        numbers = np.zeros((len(filled), 0), np.int64)
        tile = LatentTile(finest, classes_of(split.counts), split.grounds, numbers, parts_of(split.counts))
        return Codes(tile, points, self._network.encode(features))

    def _fit_level(self, codes: Codes, max_bytes: int) -> Codes:
        """Return the codes at the finest level whose bytes fit, the coarsest if none does."""
        low, high = 0, len(self._tables.numbers) - 1
        places = count_place_bits(codes.tile, self._tables)
        while low < high:
            middle = (low + high + 1) // 2
            fits = size_of(self._round(codes, middle), self._tables, places) <= max_bytes
            low, high = (middle, high) if fits else (low, middle - 1)
        return codes._replace(tile=codes.tile._replace(level=low))

    def _pack_in_part(self, tile: LatentTile, max_bytes: int) -> bytes | None:
        """Encode a tile at the coarsest level with the likeliest codes for as many small sub-tiles as need be.

        Returns:
            None if even the likeliest codes alone take too many bytes.
        """
        frequencies = self._tables.numbers[levels_of(tile.level, tile.classes, self._tables)]  # (S, L, steps)
        likeliest = frequencies.argmax(2) - most_of(self._tables)
        small_first = np.argsort(tile.classes[tile.classes > 0], kind="stable")
        for count in range(1, len(small_first) + 1):
            rows = small_first[:count]
            tile.numbers[rows] = likeliest[rows]
            if size_of(tile, self._tables) <= max_bytes:
                payload = pack_tile(tile, self._tables)
                if len(payload) <= max_bytes:
                    return payload
        return None

    @torch.inference_mode()
    def _round(self, codes: Codes, level: int) -> LatentTile:
        tile = codes.tile._replace(level=level)
        rounded = self._network.scale(codes.codes, self._levels(tile)).round()
        return tile._replace(numbers=rounded.long().numpy())

    def _descend(self, codes: Codes) -> Codes:
        """Take the steps at the level of the codes: distance of some points plus the price of the bits."""
        config, network, levels = self.config, self._network, self._levels(codes.tile)
        generator = torch.Generator().manual_seed(config.seed)
        scaled = network.scale(codes.codes, levels).detach().requires_grad_()
        is_used = network.find_used(levels)  # Adam moves all numbers alike, also those that no level can afford
        optimizer = torch.optim.Adam([scaled], lr=config.step_size)
        for step in range(config.steps):
            optimizer.param_groups[0]["lr"] = config.step_size * (1.0 - 0.8 * step / config.steps)
            noisy = scaled + torch.rand(scaled.shape, generator=generator) - 0.5
            targets = torch.randperm(codes.points.shape[1], generator=generator)[: config.target_points * self._more]
            decoded = network.decode(network.unscale(noisy, levels), self._draw_rows(generator)).flatten(1, 2)
            given = codes.points[:, targets].contiguous()
            there, back = mean_nearest_distances(decoded, given)
            density = sliced_distances(decoded, given, random_directions(config.directions, generator))
            bits = network.count_bits(noisy, levels).sum(1)
            loss = (0.5 * (there + back) + config.density_weight * density + network.prices(levels) * bits).sum()
            (gradient,) = torch.autograd.grad(loss, scaled)
            scaled.grad = gradient * is_used
            optimizer.step()
        with torch.no_grad():
            return codes._replace(codes=scaled / network.gains(levels))

    def _draw_rows(self, generator: torch.Generator) -> Tensor:
        decoder = self._network.config.decoder
        order = torch.rand(decoder.num_patches, decoder.points_per_patch, generator=generator).argsort(1)
        return order[:, : self.config.decoded_points * self._more]

    def _levels(self, tile: LatentTile) -> Tensor:
        """Return the level of each sub-tile that is not empty, in levels of the network, ``(S,)``."""
        return torch.from_numpy(levels_of(tile.level, tile.classes, self._tables)).float() / FINE


def _reach(split: Subtiles) -> Subtiles:
    """Return sub-tiles whose grounds a payload can tell, with their points above these."""
    grounds = reach_grounds(split.counts > 0, split.grounds)
    points = split.points.copy()
    points[:, 2] += np.repeat((split.grounds - grounds) * GROUND_STEP, split.counts)
    return split._replace(points=points, grounds=grounds)
