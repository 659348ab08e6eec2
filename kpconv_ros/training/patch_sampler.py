# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the sampler for scans, on pairs with exact poses: ``kpconv-ros train patch-sampler --config FILE``.

Points are chosen in two scans of a street, a step of registration is taken with them, and its error against the truth
is the loss of the task. Several budgets are trained together, as in SampleNet-Progressive (Lang et al., CVPR 2020,
arXiv:1912.03663, Eqs. (7) and (11)), but which points come first is learned too: slots of all columns compete.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kpconv_ros.config_io import param
from kpconv_ros.layers.temperature import TemperatureConfig, scheduled_temperature
from kpconv_ros.losses.point_sampling import simplification_loss
from kpconv_ros.losses.registration_step import Samples, choose_softly, solve_step, step_error
from kpconv_ros.networks.patch_sampler import PatchSamplerConfig, PatchSamplerNet
from kpconv_ros.patch_sampler_checkpoint import save_patch_sampler
from kpconv_ros.training.loop import TrainingLoop, run_training
from kpconv_ros.training.loop_config import LoopConfig, load_changed_config
from kpconv_ros.training.scan_drives import DrivesConfig, load_drives
from kpconv_ros.training.scan_pairs import PairBatch, draw_pair

LEAST_SHARE = 1e-3  # of what is left out, as it would only cost time


@dataclass(frozen=True)
class PatchSamplerTrainingConfig(LoopConfig):
    """One training of the sampler for scans."""

    network: PatchSamplerConfig = param(PatchSamplerConfig, "sizes of the network and of the columns")
    drives: DrivesConfig = param(DrivesConfig, "what is simulated")
    temperature: TemperatureConfig = param(TemperatureConfig, "t of the projection, in columns")
    budgets: tuple[int, ...] = param((100, 200, 400), "points of a scan that are trained for together", 1)
    choice_width: float = param(0.05, "difference of gains over which a point is in a sample in part, columns^2", 1e-6)
    projection_points: int = param(256, "points of a column that the slots are projected onto", 1)
    whole: float = param(0.0, "weight of the length of the step beside its standard deviation", 0.0)
    simplify: float = param(4.0, "alpha of Eq. (1), weight of L_simplify", 0.0)
    coverage: float = param(0.3, "gamma of Eq. (3), weight of the distances from points to slots", 0.0)
    guess_distance: float = param(0.3, "standard deviation of the first guess along each axis, metres", 0.0)
    guess_angle: float = param(0.01, "standard deviation of the first guess about each axis, radians", 0.0)


class PatchSamplerTraining(TrainingLoop[PairBatch]):
    """Training of a :class:`PatchSamplerNet`."""

    config: PatchSamplerTrainingConfig
    network: PatchSamplerNet

    def __init__(self, config: PatchSamplerTrainingConfig, out: Path, cache: Path | None = None) -> None:
        """Simulate what the cache lacks; take up the checkpoint in ``out`` if there is one."""
        self.drives = load_drives(config.drives, cache)
        torch.manual_seed(config.seed)
        super().__init__(config, PatchSamplerNet(config.network), out)

    def make_batch(self, index: int) -> PairBatch:
        """Draw a pair of scans of one drive."""
        generator = np.random.default_rng([self.config.seed, index % (1 << 32)])
        drive = self.drives[generator.integers(len(self.drives))]
        config = self.config
        guess = (config.guess_distance, config.guess_angle)
        return draw_pair(drive, config.network, config.projection_points, guess, generator)

    def compute_loss(self, batch: PairBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of Eq. (11), and its parts for the last budget."""
        config = self.config
        temperature = scheduled_temperature(self.step / config.steps, config.temperature)
        columns = int(batch.num_target)
        chosen = self.network.project(batch.patches, batch.normals, temperature)
        places = chosen.points * config.network.cell_size + batch.centers[:, None]  # (C, m, 3), metres
        context = batch.patches[:, : config.network.patch_points, :3]
        simplify = simplification_loss(chosen.queries, context, gamma=config.coverage)
        total, parts = config.simplify * simplify, {}
        for budget in config.budgets:
            target, source = (
                _choose(places[side], chosen.normals[side], chosen.gains[side], budget, config.choice_width)
                for side in (slice(None, columns), slice(columns, None))
            )
            moved = source.points @ batch.T_true_guess[:3, :3].T + batch.T_true_guess[:3, 3]
            step, deviation = step_error(solve_step(source._replace(points=moved), target))
            # The logarithm lets easy pairs and large budgets, whose errors are small, count as much as the others.
            total = total + (config.whole * step + deviation).log() / len(config.budgets)
            parts = {"step": step.detach(), "deviation": deviation.detach(), "simplify": simplify.detach()}
        return total, parts

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model."""
        network = self.average.module
        assert isinstance(network, PatchSamplerNet)
        save_patch_sampler(folder, network, self.config.name)


def _choose(places: Tensor, normals: Tensor, gains: Tensor, budget: int, width: float) -> Samples:
    """Return the slots ``(C, m)`` that are in a sample at least in part; even and odd ones have half of it each."""
    halves = [choose_softly(gains[:, parity::2].flatten(), budget // 2, width) for parity in (0, 1)]
    shares = torch.stack([half.view(len(gains), -1) for half in halves], 2).flatten()  # (C, m / 2, 2)
    kept = shares.detach() > LEAST_SHARE
    return Samples(places.flatten(0, 1)[kept], normals.flatten(0, 1)[kept], shares[kept])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of the training's config")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, losses and the model")
    parser.add_argument("--cache", type=Path, help="folder of the simulated drives, in place of the user's cache")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other fields, in YAML")


def run(args: argparse.Namespace) -> int:
    """Train and export; a second call goes on where the first stopped."""
    config = load_changed_config(PatchSamplerTrainingConfig, args.config, args.set, {})
    run_training(config, args.out, lambda: PatchSamplerTraining(config, args.out, args.cache))
    return 0
