# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss of each task network, on complete clouds or on samples of them: Ltask of the SampleNet paper, Eq. (1)."""

import torch
from torch import Tensor
from torch.nn import functional

from kpconv_ros.data.object_tasks import ObjectTaskConfig, TaskBatch
from kpconv_ros.geometry.distances import chamfer_distances
from kpconv_ros.geometry.rotations import apply_motions, geodesic_angles
from kpconv_ros.losses.registration import registration_loss
from kpconv_ros.networks.pcrnet import PCRNet, PCRNetConfig
from kpconv_ros.networks.point_autoencoder import PointAutoencoder, PointAutoencoderConfig
from kpconv_ros.networks.pointnet import PointNet, PointNetConfig
from kpconv_ros.sampling_checkpoint import TaskNetwork

TRANSFORM_WEIGHT = 1e-3  # of PointNet's feature transform, supplement C of its paper


def make_task_network(
    objects: ObjectTaskConfig, num_classes: int, pcrnet: PCRNetConfig, pointnet_transforms: bool
) -> TaskNetwork:
    """Return the network of a task with random weights."""
    if objects.task == "registration":
        return PCRNet(pcrnet)
    if objects.task == "classification":
        return PointNet(PointNetConfig(num_classes=num_classes, transforms=pointnet_transforms))
    return PointAutoencoder(PointAutoencoderConfig(num_points=objects.num_points))


def task_loss(network: TaskNetwork, clouds: tuple[Tensor, ...], batch: TaskBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a task network and its error for the log.

    Args:
        network: It says which task it is.
        clouds: What the network is given, ``(B, m, 3)`` each: those of the batch, or samples of them.
        batch: The complete clouds and the truth.

    Returns:
        The loss; ``degrees`` (mean rotation error), ``accuracy`` or ``chamfer``, detached.
    """
    if isinstance(network, PCRNet):
        return _registration(network, clouds[0], clouds[1], batch)
    if isinstance(network, PointNet):
        logits = network(clouds[0])
        loss = functional.cross_entropy(logits, batch.categories) + TRANSFORM_WEIGHT * network.regularization()
        return loss, {"accuracy": (logits.detach().argmax(1) == batch.categories).float().mean()}
    error = chamfer_distances(network(clouds[0]), batch.clouds[:, 0]).mean()
    return error, {"chamfer": error.detach()}


def _registration(
    network: PCRNet, templates: Tensor, sources: Tensor, batch: TaskBatch
) -> tuple[Tensor, dict[str, Tensor]]:
    motion = network(templates, sources)
    moved = apply_motions(motion.rotations, motion.translations, templates)
    offsets = motion.translations - batch.translations if network.config.translation else None
    loss = registration_loss(motion.rotations, batch.rotations, moved, sources, offsets)
    return loss, {"degrees": torch.rad2deg(geodesic_angles(motion.rotations.detach(), batch.rotations)).mean()}
