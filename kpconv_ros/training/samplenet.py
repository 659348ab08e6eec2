# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of a sampler for a frozen task network: ``kpconv-ros train samplenet --config FILE --task-network DIR ...``.

Lang et al., "SampleNet: Differentiable Point Cloud Sampling", CVPR 2020, arXiv:1912.03663.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.object_sets import OBJECT_LICENCES
from kpconv_ros.data.object_tasks import TaskBatch, load_task_objects
from kpconv_ros.layers.temperature import TemperatureConfig
from kpconv_ros.losses.point_sampling import projection_loss, simplification_loss
from kpconv_ros.networks.samplenet import SampleNet, sizes_for
from kpconv_ros.sampling_checkpoint import TaskModel, load_task_network, save_sampling_model
from kpconv_ros.training.loop import TrainingLoop, run_training
from kpconv_ros.training.loop_config import LoopConfig, load_changed_config
from kpconv_ros.training.object_losses import task_loss
from kpconv_ros.training.task_network import add_arguments as add_training_arguments
from kpconv_ros.training.task_network import draw_training_batch


@dataclass(frozen=True)
class SamplerTrainingConfig(LoopConfig):
    """One training of a SampleNet; the weights of the losses are those for registration. Task and objects are those
    of the task network.
    """

    task_network: str = param("", "folder of the task network")
    num_samples: int = param(64, "points m that the network proposes", 1)
    control_sizes: tuple[int, ...] = param(
        (), "sizes of a progressive sampler, Eq. (7), up to m; none trains m alone", 1
    )
    projection: bool = param(True, "soft projection; false is S-NET")
    temperature: TemperatureConfig = param(TemperatureConfig, "of the soft projection, in longest sides of an object")
    alpha: float = param(0.01, "weight of the simplification loss, Eq. (1)", 0.0)
    beta: float = param(1.0, "weight of its largest distance, Eq. (5)", 0.0)
    gamma: float = param(1.0, "weight of its coverage of the cloud, Eq. (5)", 0.0)
    delta: float = param(0.0, "what each point adds to that, Eq. (5)", 0.0)
    lambda_project: float = param(
        0.01, "weight of the projection loss, Eqs. (1) and (10), if the temperature is learned", 0.0
    )
    batch_size: int = param(32, "clouds, or pairs, of a step", 2)

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ConfigError: If a control size is larger than the number of points.
        """
        if self.control_sizes and max(self.control_sizes) > self.num_samples:
            raise ConfigError(f"control_sizes: expected at most {self.num_samples}, got {self.control_sizes}")


class SamplerTraining(TrainingLoop[TaskBatch]):
    """Training of a SampleNet, which samples every cloud that the frozen task network is given."""

    config: SamplerTrainingConfig
    network: SampleNet

    def __init__(self, config: SamplerTrainingConfig, task: TaskModel, out: Path) -> None:
        """Load the objects, build the network, and take up the checkpoint in ``out`` if there is one."""
        self.task, self.objects = task, task.manifest.objects
        self.object_set = load_task_objects(self.objects, "train")
        torch.manual_seed(config.seed)
        sizes = sizes_for(self.objects.task, config.num_samples, config.projection, config.temperature)
        super().__init__(config, SampleNet(sizes), out)
        self.task.network.requires_grad_(False).to(self.device)

    def make_batch(self, index: int) -> TaskBatch:
        """Draw objects at random."""
        return draw_training_batch(self.object_set, self.objects, self.config.batch_size, self.config.seed, index)

    def compute_loss(self, batch: TaskBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the total loss, Eq. (1), summed over the control sizes if there are any, Eq. (11).

        The scalars are the error of the task on the largest size, the simplification loss of all, and the temperature.
        """
        config = self.config
        self.network.set_progress(self.step / config.steps)
        points = batch.clouds.flatten(0, 1)  # (B, c, n, 3) -> (B c, n, 3)
        simplified, projected = self.network(points)
        of_clouds = projected.unflatten(0, batch.clouds.shape[:2]).unbind(1)  # c of (B, m, 3)
        tasks, simplifications = [], []
        error: dict[str, Tensor] = {}
        for size in sorted(config.control_sizes or (config.num_samples,)):
            loss, error = task_loss(self.task.network, tuple(cloud[:, :size] for cloud in of_clouds), batch)
            tasks.append(loss)
            simplifications.append(
                simplification_loss(simplified[:, :size], points, config.beta, config.gamma, config.delta)
            )
        simplification, temperature = torch.stack(simplifications).sum(), self.network.temperature()
        total = torch.stack(tasks).sum() + config.alpha * simplification
        if config.projection and self.network.learned is not None:
            total = total + config.lambda_project * projection_loss(temperature)
        return total, {**error, "simplification": simplification.detach(), "temperature": temperature.detach()}

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model."""
        config, network = self.config, self.average.module
        assert isinstance(network, SampleNet)
        manifest = {
            "name": config.name,
            "classes": self.object_set.classes,
            "objects": self.objects,
            "control_sizes": config.control_sizes,
            "task_sha256": self.task.manifest.sha256,
            "steps": self.step,
            "seed": config.seed,
            "licence": OBJECT_LICENCES[self.objects.data],
        }
        save_sampling_model(folder, network, manifest)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_training_arguments(parser)
    parser.add_argument("--task-network", help="folder of the trained task network, in place of the file's")


def run(args: argparse.Namespace) -> int:
    """Train and export; a second call goes on where the first stopped."""
    changes = {"task_network": args.task_network} if args.task_network else {}
    config = load_changed_config(SamplerTrainingConfig, args.config, args.set, changes)
    run_training(config, args.out, lambda: SamplerTraining(config, load_task_network(config.task_network), args.out))
    return 0
