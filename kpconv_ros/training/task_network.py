# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the network behind a sampler: ``kpconv-ros train task-network --config FILE --out OUT``.

PCRNet for registration, PointNet for classification, an autoencoder for reconstruction, on complete clouds.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kpconv_ros.config_io import param
from kpconv_ros.data.object_sets import OBJECT_LICENCES, ObjectSet
from kpconv_ros.data.object_tasks import ObjectTaskConfig, TaskBatch, draw_batch, load_task_objects
from kpconv_ros.networks.pcrnet import PCRNetConfig
from kpconv_ros.sampling_checkpoint import TaskNetwork, save_sampling_model
from kpconv_ros.training.loop import TrainingLoop, run_training
from kpconv_ros.training.loop_config import LoopConfig, load_changed_config
from kpconv_ros.training.object_losses import make_task_network, task_loss


@dataclass(frozen=True)
class TaskTrainingConfig(LoopConfig):
    """One training of a task network."""

    objects: ObjectTaskConfig = param(ObjectTaskConfig, "task and objects")
    batch_size: int = param(32, "clouds, or pairs, of a step", 2)
    pcrnet: PCRNetConfig = param(PCRNetConfig, "sizes, for registration")
    pointnet_transforms: bool = param(True, "classification: PointNet with its two alignments, else vanilla")


class TaskTraining(TrainingLoop[TaskBatch]):
    """Training of a task network on complete clouds."""

    config: TaskTrainingConfig
    network: TaskNetwork

    def __init__(self, config: TaskTrainingConfig, out: Path) -> None:
        """Load the objects, build the network, and take up the checkpoint in ``out`` if there is one."""
        self.object_set = load_task_objects(config.objects, "train")
        torch.manual_seed(config.seed)
        classes = len(self.object_set.classes)
        network = make_task_network(config.objects, classes, config.pcrnet, config.pointnet_transforms)
        super().__init__(config, network, out)

    def make_batch(self, index: int) -> TaskBatch:
        """Draw objects at random."""
        return draw_training_batch(
            self.object_set, self.config.objects, self.config.batch_size, self.config.seed, index
        )

    def compute_loss(self, batch: TaskBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of the task, and its error."""
        return task_loss(self.network, batch.clouds.unbind(1), batch)

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model."""
        config, network = self.config, self.average.module
        assert isinstance(network, TaskNetwork)
        manifest = {
            "name": config.name,
            "classes": self.object_set.classes,
            "objects": config.objects,
            "steps": self.step,
            "seed": config.seed,
            "licence": OBJECT_LICENCES[config.objects.data],
        }
        save_sampling_model(folder, network, manifest)


def draw_training_batch(
    object_set: ObjectSet, config: ObjectTaskConfig, batch_size: int, seed: int, index: int
) -> TaskBatch:
    """Draw a batch of objects at random, the same for the same seed and index."""
    generator = np.random.default_rng([seed, index % (1 << 32)])
    rows = generator.integers(len(object_set.surfaces), size=batch_size)
    return draw_batch(object_set, rows.tolist(), config, generator)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of the training's config")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, losses and the model")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other fields, in YAML")


def run(args: argparse.Namespace) -> int:
    """Train and export; a second call goes on where the first stopped."""
    config = load_changed_config(TaskTrainingConfig, args.config, args.set, {})
    run_training(config, args.out, lambda: TaskTraining(config, args.out))
    return 0
