# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to sample the clouds of objects, and what a task network makes of the samples.

The comparison of the SampleNet paper (CVPR 2020, section 4): Figures 5, 9 and 11.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from kpconv_ros.data.object_tasks import TaskBatch
from kpconv_ros.geometry.distances import chamfer_distances
from kpconv_ros.geometry.rotations import geodesic_angles
from kpconv_ros.geometry.sampling import sample_farthest
from kpconv_ros.networks.pcrnet import PCRNet
from kpconv_ros.networks.pointnet import PointNet
from kpconv_ros.networks.samplenet import SampleNet
from kpconv_ros.sampling_checkpoint import TaskNetwork

METRICS = {"registration": "rotation_deg", "classification": "accuracy", "reconstruction": "nre"}
"""What is measured in a task: the mean rotation error in degrees, the share of objects that are classified rightly, the
normalised reconstruction error."""

Choose = Callable[[Tensor, int], Tensor]
"""Chooses rows ``(B, m)`` of clouds ``(B, n, 3)``."""


class Sampler(NamedTuple):
    """A way to sample."""

    kind: str
    """complete, random, fps, snet, samplenet or progressive."""
    seed: int
    """Of its random choices, or of its training."""
    sizes: tuple[int, ...]
    """Points that it can be asked for; empty for any."""
    choose: Choose


def random_sampler(seed: int) -> Sampler:
    """Take points at random, each cloud's anew."""
    generator = torch.Generator().manual_seed(seed)

    def choose(clouds: Tensor, count: int) -> Tensor:
        return torch.rand(clouds.shape[:2], generator=generator).argsort(1)[:, :count].to(clouds.device)

    return Sampler("random", seed, (), choose)


def farthest_sampler(seed: int) -> Sampler:
    """Take farthest points, starting at a random one of each cloud."""
    generator = torch.Generator().manual_seed(seed)

    def choose(clouds: Tensor, count: int) -> Tensor:
        shuffled = torch.rand(clouds.shape[:2], generator=generator).argsort(1).to(clouds.device)
        packed = clouds.gather(1, shuffled[..., None].expand(-1, -1, 3)).flatten(0, 1)
        starts = torch.arange(len(clouds), device=clouds.device)[:, None] * clouds.shape[1]
        lengths = torch.full((len(clouds),), clouds.shape[1], device=clouds.device)
        return shuffled.gather(1, sample_farthest(packed, lengths, count) - starts)

    return Sampler("fps", seed, (), choose)


def learned_sampler(network: SampleNet, control_sizes: tuple[int, ...], seed: int) -> Sampler:
    """Take the points that a network matches, completed by farthest points.

    A network that was trained for one size gives that size, a progressive one any.
    """
    kind = "progressive" if control_sizes else "samplenet" if network.config.projection else "snet"
    sizes = () if control_sizes else (network.config.num_samples,)
    return Sampler(kind, seed, sizes, network.sample)


def complete_sampler() -> Sampler:
    """Take all points, whatever is asked for."""
    return Sampler("complete", 0, (), lambda clouds, _: torch.arange(clouds.shape[1]).expand(clouds.shape[:2]))


@torch.inference_mode()
def measure(network: TaskNetwork, batch: TaskBatch, choose: Choose, count: int) -> Tensor:
    """Return the error of each example, ``(B,)``, when its clouds are sampled one by one.

    Degrees for a PCRNet; 1 or 0, right or wrong, for a PointNet; the Chamfer distance of the reconstruction to the
    complete cloud for an autoencoder.
    """
    samples = []
    for clouds in batch.clouds.unbind(1):
        rows = choose(clouds, count)
        samples.append(clouds.gather(1, rows[..., None].expand(-1, -1, 3)))
    if isinstance(network, PCRNet):
        estimates = network(samples[0], samples[1]).rotations
        return torch.rad2deg(geodesic_angles(estimates, batch.rotations))
    if isinstance(network, PointNet):
        right: Tensor = network(samples[0]).argmax(1) == batch.categories
        return right.float()
    return chamfer_distances(network(samples[0]), batch.clouds[:, 0])
