# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the coder of map tiles: ``kpconv-ros train map-codec --config FILE --out OUT [--kitti ROOT]``.

Encoder and NeuralQAAD learn together, on sub-tiles turned and mirrored at random, each at a random level of the rate:
the loss is the mean distance between decoded and given points, both ways, plus the level's price of a bit times the
bits of the code. Rounding is noise while training (Balle et al., "End-to-end Optimized Image Compression", ICLR 2017,
arXiv:1611.01704).
"""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator, default_rng
from torch import Tensor

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.subtile_set import SubtileSetConfig, load_subtiles
from kpconv_ros.geometry.distances import mean_nearest_distances, random_directions, sliced_distances
from kpconv_ros.map_codec_checkpoint import MapCodec, load_map_codec, save_map_codec
from kpconv_ros.networks.neural_qaad import split_into_patches
from kpconv_ros.networks.subtile_codec import SubtileCodec, SubtileCodecConfig, describe_subtiles, start_decoder
from kpconv_ros.training.code_tables import make_tables
from kpconv_ros.training.loop import TrainingLoop, run_training
from kpconv_ros.training.loop_config import LoopConfig, load_changed_config


@dataclass(frozen=True)
class MapCodecTrainingConfig(LoopConfig):
    """One training of a coder of map tiles."""

    network: SubtileCodecConfig = param(SubtileCodecConfig, "sizes of the network")
    data: SubtileSetConfig = param(SubtileSetConfig, "maps and how they are cut")
    batch: int = param(48, "sub-tiles of a step", 1)
    decoded_points: int = param(24, "points of each patch that a step decodes", 1)
    target_points: int = param(512, "points of a sub-tile that they are compared with", 1)
    directions: int = param(8, "along which a step compares how dense points lie", 1)
    density_weight: float = param(0.4, "of that, beside the distances to nearest points", 0.0)
    licence: str = param("Apache-2.0", "of the weights")
    coarse: str = param("", "name of the coder for larger sub-tiles that goes with it")


class SubtileBatch(NamedTuple):
    """Sub-tiles, and the random choices of a step."""

    points: Tensor
    """``(B, n, 3)``, metres."""
    counts: Tensor
    """``(B,)``."""
    levels: Tensor
    """``(B,)``, 0 to the number of levels less 1."""
    noise: Tensor
    """Of rounding, ``(B, L)``, -0.5 to 0.5."""
    rows: Tensor
    """Points of each patch that are decoded, ``(K, p)``."""
    targets: Tensor
    """Which points of the sub-tiles they are compared with, ``(t,)``."""
    directions: Tensor
    """Along which they are compared, ``(D, 3)``."""


class MapCodecTraining(TrainingLoop[SubtileBatch]):
    """Training of a :class:`SubtileCodec`."""

    config: MapCodecTrainingConfig
    network: SubtileCodec

    def __init__(
        self,
        config: MapCodecTrainingConfig,
        out: Path,
        kitti: Path | None = None,
        cache: Path | None = None,
        start: SubtileCodec | None = None,
    ) -> None:
        """Cut the maps; take up the checkpoint in ``out`` if there is one.

        Raises:
            ConfigError: If the network to start from has other sizes than the config says; rates may differ.
        """
        if start is not None and _without_rates(start.config) != _without_rates(config.network):
            raise ConfigError(f"--start: got a network of {start.config}, expected one of {config.network}")
        self.data = load_subtiles(dataclasses.replace(config.data, side=config.network.side), kitti, cache)
        share = np.sqrt(self.data.counts)
        self._cumulated = np.cumsum(share / share.sum())
        self._cumulated[-1] = 1.0
        torch.manual_seed(config.seed)
        network = SubtileCodec(config.network)
        start_decoder(network, self._first_cloud(config))
        if start is not None:
            network.load_state_dict(start.state_dict())
        super().__init__(config, network, out)

    def make_batch(self, index: int) -> SubtileBatch:
        """Draw sub-tiles, those with many points rather."""
        config, generator = self.config, default_rng([self.config.seed, index % (1 << 32)])
        decoder = config.network.decoder
        chosen = np.searchsorted(self._cumulated, generator.random(config.batch))
        points = torch.from_numpy(self.data.points[chosen].astype(np.float32))
        uniform = generator.random((config.batch, decoder.latent_size), np.float32)
        rows = np.argsort(generator.random((decoder.num_patches, decoder.points_per_patch)), axis=1)
        return SubtileBatch(
            turn_and_mirror(points, generator),
            torch.from_numpy(self.data.counts[chosen]),
            torch.from_numpy(generator.uniform(0, config.network.levels - 1, config.batch).astype(np.float32)),
            torch.from_numpy(uniform - 0.5),
            torch.from_numpy(rows[:, : config.decoded_points]),
            torch.from_numpy(generator.permutation(points.shape[1])[: config.target_points]),
            random_directions(config.directions, torch.Generator().manual_seed(int(generator.integers(1 << 31)))),
        )

    def compute_loss(self, batch: SubtileBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean of distance plus price of the bits, and both for the finest and the coarsest levels."""
        network, levels = self.network, batch.levels
        codes = network.encode(describe_subtiles(batch.points, batch.counts, self.config.network))
        scaled = network.scale(codes, levels) + batch.noise
        bits = network.count_bits(scaled, levels).sum(1)
        decoded = network.decode(network.unscale(scaled, levels), batch.rows).flatten(1, 2)
        targets = batch.points[:, batch.targets].contiguous()
        there, back = mean_nearest_distances(decoded, targets)
        distance, density = 0.5 * (there + back), sliced_distances(decoded, targets, batch.directions)
        parts: dict[str, Tensor] = {"density_m": density.mean().detach()}
        for name, chosen in (("coarse", levels < 1), ("fine", levels > self.config.network.levels - 2)):
            share = chosen.float() / chosen.sum().clamp(min=1)
            parts |= {f"{name}_m": (share * distance).sum().detach(), f"{name}_bits": (share * bits).sum().detach()}
        return (distance + self.config.density_weight * density + network.prices(levels) * bits).mean(), parts

    def export(self, folder: Path) -> None:
        """Fill the tables by the training's sub-tiles, and write them with the averaged weights."""
        network = self.average.module
        assert isinstance(network, SubtileCodec)
        codec = MapCodec(self.config.network)
        codec.network.load_state_dict(network.cpu().state_dict())
        codec.fill(make_tables(codec.network, self.data))
        save_map_codec(folder, codec, self.config.name, self.config.licence, self.config.coarse)

    def _first_cloud(self, config: MapCodecTrainingConfig) -> Tensor:
        """Return points of many sub-tiles as patches, metres."""
        decoder, generator = config.network.decoder, default_rng(config.seed)
        count = decoder.num_patches * decoder.points_per_patch
        subtiles = generator.integers(len(self.data.points), size=count)
        points = self.data.points[subtiles, generator.integers(self.data.points.shape[1], size=count)]
        return split_into_patches(torch.from_numpy(points.astype(np.float32)), decoder.num_patches)


def _without_rates(config: SubtileCodecConfig) -> SubtileCodecConfig:
    """Return a config that tells networks apart whose weights do not fit each other."""
    return dataclasses.replace(config, highest_price=1.0, lowest_price=1.0, most=1)


def turn_and_mirror(points: Tensor, generator: Generator) -> Tensor:
    """Apply one of the eight symmetries of a square to each sub-tile, ``(B, n, 3)``."""
    choice = torch.from_numpy(generator.integers(0, 8, len(points)))[:, None]
    x, y, z = points.unbind(2)
    x, y = torch.where(choice < 4, x, y), torch.where(choice < 4, y, x)
    return torch.stack([x * (1 - 2 * (choice & 1)), y * (1 - (choice & 2)), z], dim=2)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of the training's config")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, losses and the model")
    parser.add_argument("--kitti", type=Path, help="folder of SemanticKITTI, for configs that name sequences of it")
    parser.add_argument("--cache", type=Path, help="folder of the simulated maps, in place of the user's cache")
    parser.add_argument("--start", help="name or folder of a model whose weights are trained further")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other fields, in YAML")


def run(args: argparse.Namespace) -> int:
    """Train and export; a second call goes on where the first stopped."""
    config = load_changed_config(MapCodecTrainingConfig, args.config, args.set, {})
    start = None if args.start is None else load_map_codec(args.start)[0].network
    run_training(config, args.out, lambda: MapCodecTraining(config, args.out, args.kitti, args.cache, start))
    return 0
