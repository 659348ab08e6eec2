# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings of decoders that fold patches: with an encoder by the augmented Chamfer distance, then on matched points.

"NeuralQAAD: An Efficient Differentiable Framework for Compressing High Resolution Consistent Point Clouds Datasets",
sections 3.4 and 4.2. Both see, in each step, as many points of every patch, other ones each time.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.consistent_clouds import CloudSet, CloudSetConfig
from kpconv_ros.geometry.distances import augmented_chamfer_distances
from kpconv_ros.geometry.qaad import assign_greedily, reassign
from kpconv_ros.networks.atlasnet_v2 import AtlasNetV2
from kpconv_ros.networks.code_encoder import CodeEncoder
from kpconv_ros.networks.neural_qaad import NeuralQAAD
from kpconv_ros.neural_qaad_checkpoint import save_neural_qaad
from kpconv_ros.training.loop import TrainingLoop
from kpconv_ros.training.loop_config import LoopConfig

Matching = Literal["random", "greedy", "reassignment"]


@dataclass(frozen=True)
class FoldingConfig(LoopConfig):
    """One training of a decoder."""

    clouds: CloudSetConfig = param(CloudSetConfig, "what is compressed")
    batch_size: int = param(16, "clouds of a step", 1)
    points_of_patch: int = param(12, "points of each patch in a step", 1)
    matching: Matching = param("reassignment", "which point is drawn where: at random, QAAD greedy, with reassignment")
    cell_size: int = param(1024, "points of a cell of QAAD greedy", 1)


class FoldingBatch(NamedTuple):
    """What is drawn for a step."""

    instances: Tensor
    """Clouds, ``(B,)`` int64, none twice."""
    rows: Tensor
    """Points of each patch, ``(K, p)`` int64, none twice."""
    columns: Tensor
    """Points of each cloud, ``(B, K p)`` int64, none twice; of use without a matching."""


class FoldingTraining(TrainingLoop[FoldingBatch]):
    """What both trainings share."""

    config: FoldingConfig
    network: NeuralQAAD | AtlasNetV2
    leaves_parameters_out = True  # the table of codes, while there is an encoder

    def __init__(
        self, config: FoldingConfig, data: CloudSet, network: NeuralQAAD | AtlasNetV2, out: Path, **others: nn.Module
    ) -> None:
        """Hold the clouds and take up the checkpoint in ``out`` if there is one.

        Raises:
            ConfigError: If a step takes more clouds or points than there are.
        """
        self.data = data
        available = network.input_cloud.shape[1]
        if config.batch_size > len(data.clouds):
            raise ConfigError(f"batch_size: expected at most {len(data.clouds)} clouds, got {config.batch_size}")
        if config.points_of_patch > available:
            raise ConfigError(f"points_of_patch: expected at most {available}, got {config.points_of_patch}")
        super().__init__(config, network, out, **others)

    def make_batch(self, index: int) -> FoldingBatch:
        """Draw clouds, points of patches and points of clouds."""
        # torch would take 32 bits of a seed, and lose one of the two numbers.
        drawn = np.random.default_rng([self.config.seed, index]).integers(1 << 32)
        generator = torch.Generator().manual_seed(int(drawn))
        patches, available = self.network.input_cloud.shape[:2]
        instances = torch.randperm(len(self.data.clouds), generator=generator)[: self.config.batch_size]
        rows = torch.rand(patches, available, generator=generator).argsort(1)[:, : self.config.points_of_patch]
        order = torch.rand(len(instances), self.data.clouds.shape[1], generator=generator)
        return FoldingBatch(instances, rows, order.topk(rows.numel(), 1).indices)

    def export(self, folder: Path) -> None:
        """Write a NeuralQAAD with its table as a model; the baseline is not exported."""
        network = self.average.module
        if isinstance(network, NeuralQAAD):
            save_neural_qaad(folder, network, {"name": self.config.name, "unit": self.data.unit, "steps": self.step})

    def _targets(self, instances: Tensor, columns: Tensor) -> Tensor:
        """Return points ``(B, n, 3)`` of the clouds."""
        clouds = self.data.clouds[instances.cpu()].to(self.device)
        return clouds.gather(1, columns[..., None].expand(-1, -1, 3))


class ChamferTraining(FoldingTraining):
    """Decoder and encoder by the augmented Chamfer distance, Eq. (11), of subsets."""

    def __init__(
        self,
        config: FoldingConfig,
        data: CloudSet,
        network: NeuralQAAD | AtlasNetV2,
        encoder: CodeEncoder,
        out: Path,
    ) -> None:
        """Take network and encoder with their first weights."""
        super().__init__(config, data, network, out, encoder=encoder)
        self.encoder = encoder

    def compute_loss(self, batch: FoldingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Encode a subset of each cloud, fold a subset of each patch, compare the two."""
        targets = self._targets(batch.instances, batch.columns)
        folded = self.network(self.encoder(targets), batch.rows).flatten(1, 2)
        return augmented_chamfer_distances(folded, targets).mean(), {}

    @torch.no_grad()
    def codes(self) -> Tensor:
        """Return the code of each cloud, ``(N, L)``: the mean over parts as large as those of the training."""
        size = self.config.points_of_patch * len(self.network.input_cloud)
        clouds = self.data.clouds.to(self.device)  # in random order already
        parts = clouds[:, : clouds.shape[1] // size * size].unflatten(1, (-1, size)).unbind(1)
        return torch.stack([self.encoder(part) for part in parts]).mean(0)

    def export(self, folder: Path) -> None:
        """Write the model with the encoder's codes as its table."""
        if isinstance(self.average.module, NeuralQAAD):
            with torch.no_grad():
                self.average.module.latents.copy_(self.codes())
        super().export(folder)


class Matches(nn.Module):
    """Which point of its cloud each point of the input cloud is drawn to, ``(N, K P)`` int64; part of a checkpoint."""

    def __init__(self, num_clouds: int, num_points: int) -> None:
        """Match row by row."""
        super().__init__()
        self.rows: Tensor
        self.register_buffer("rows", torch.arange(num_points).repeat(num_clouds, 1))


class MatchedTraining(FoldingTraining):
    """Decoder and table of codes by the mean squared distance of matched points, Eq. (15)."""

    network: NeuralQAAD

    def __init__(
        self, config: FoldingConfig, data: CloudSet, network: NeuralQAAD, out: Path, first: Tensor | None = None
    ) -> None:
        """Match all clouds with what the network makes of its table, unless a checkpoint or ``first`` knows better.

        Args:
            config: Its ``matching`` says how.
            data: As many clouds, of as many points, as the network has.
            network: From a :class:`ChamferTraining`, with the encoder's codes in its table.
            out: Folder of the checkpoint.
            first: As of :func:`first_matches`, if they are known.

        Raises:
            ConfigError: If the network is for other clouds.
        """
        shape = (network.config.num_instances, network.config.num_patches * network.config.points_per_patch)
        if tuple(data.clouds.shape[:2]) != shape:
            raise ConfigError(f"clouds: expected (N, M) {shape} as the network has, got {tuple(data.clouds.shape[:2])}")
        self.matches = Matches(*shape)
        super().__init__(config, data, network, out, matches=self.matches)
        if self.step == 0:
            found = first_matches(config, data, self.network) if first is None else first
            self.matches.rows.copy_(found)

    def compute_loss(self, batch: FoldingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Fold a subset of each patch, swap matches if the config says so, and compare matched points."""
        instances, rows = batch.instances, batch.rows
        folded = self.network(self.network.latents[instances], rows).flatten(1, 2)  # (B, n, 3)
        patches, points = self.network.input_cloud.shape[:2]
        places = (rows + points * torch.arange(patches, device=rows.device)[:, None]).flatten()  # (n,)
        columns = self.matches.rows[instances[:, None], places]
        targets, swaps = self._targets(instances, columns), 0
        if self.config.matching == "reassignment":
            slots, swaps = reassign(folded, targets)
            targets = targets.gather(1, slots[..., None].expand_as(targets))
            self.matches.rows[instances[:, None], places] = columns.gather(1, slots)
        loss = (folded - targets).square().sum(2).mean()
        return loss, {"swapped": loss.new_tensor(swaps / columns.numel())}


@torch.no_grad()
def first_matches(config: FoldingConfig, data: CloudSet, network: NeuralQAAD) -> Tensor:
    """Return the matches that a training starts with, ``(N, K P)``: at random, or by QAAD greedy."""
    generator = torch.Generator().manual_seed(config.seed)
    if config.matching == "random":
        return torch.rand(data.clouds.shape[:2], generator=generator).argsort(1)
    found = []
    for latent, cloud in zip(network.latents.split(1), data.clouds.split(1), strict=True):
        folded = network(latent).flatten(1, 2).cpu()
        found.append(assign_greedily(folded, cloud, generator, config.cell_size))
    return torch.cat(found)
