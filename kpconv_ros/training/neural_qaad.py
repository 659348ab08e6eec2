# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of a NeuralQAAD on a set of clouds: ``kpconv-ros train neural-qaad --config FILE --out OUT``.

First with an encoder by the augmented Chamfer distance; its codes start the table, and the encoder is dropped. Then on
matched points (section 3.4 of the paper).
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.consistent_clouds import CloudSet, load_cloud_set
from kpconv_ros.networks.code_encoder import CodeEncoder, CodeEncoderConfig
from kpconv_ros.networks.neural_qaad import NeuralQAAD, NeuralQAADConfig, split_into_patches
from kpconv_ros.neural_qaad_checkpoint import load_neural_qaad
from kpconv_ros.training.folding import ChamferTraining, FoldingConfig, MatchedTraining
from kpconv_ros.training.loop import run_training
from kpconv_ros.training.loop_config import load_changed_config
from kpconv_ros.training.task_network import add_arguments as add_arguments


@dataclass(frozen=True)
class NeuralQAADTrainingConfig(FoldingConfig):
    """Both trainings; ``steps`` are those on matched points."""

    chamfer_steps: int = param(600, "steps by the augmented Chamfer distance, with the encoder", 1)
    num_patches: int = param(64, "patches K; a divisor of the points of a cloud", 1)
    latent_size: int = param(32, "numbers of a code", 1)
    encoder_widths: tuple[int, ...] = param((64, 128, 256), "layers of the encoder on each point", 1)


def make_network(config: NeuralQAADTrainingConfig, data: CloudSet) -> NeuralQAAD:
    """Build a network for a set; its input cloud is one of the clouds, drawn at random.

    Raises:
        ConfigError: If the patches do not divide the points.
    """
    count, points = data.clouds.shape[:2]
    if points % config.num_patches:
        raise ConfigError(f"num_patches: expected a divisor of {points} points, got {config.num_patches}")
    torch.manual_seed(config.seed)
    sizes = NeuralQAADConfig(config.num_patches, points // config.num_patches, config.latent_size, count)
    network = NeuralQAAD(sizes)
    with torch.no_grad():
        sample = data.clouds[torch.randint(count, (1,))[0]]
        network.input_cloud.copy_(split_into_patches(sample, config.num_patches))
    return network


def make_chamfer_training(config: NeuralQAADTrainingConfig, data: CloudSet, out: Path) -> ChamferTraining:
    """Make the first training: a new network, and its encoder."""
    network = make_network(config, data)
    encoder = CodeEncoder(CodeEncoderConfig(config.latent_size, config.encoder_widths))
    return ChamferTraining(replace(config, steps=config.chamfer_steps), data, network, encoder, out)


def run(args: argparse.Namespace) -> int:
    """Train and export; a second call goes on where the first stopped."""
    config = load_changed_config(NeuralQAADTrainingConfig, args.config, args.set, {})
    data, first = load_cloud_set(config.clouds), args.out / "chamfer"
    if not (first / config.name).is_dir():
        run_training(config, first, lambda: make_chamfer_training(config, data, first))
    run_training(
        config, args.out, lambda: MatchedTraining(config, data, load_neural_qaad(first / config.name), args.out)
    )
    return 0
