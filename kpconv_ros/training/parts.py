# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of KP-FCNN with several heads on the parts of objects: ``kpconv-ros train parts --config FILE ...``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.data.shape_sets import ShapeSet
from kpconv_ros.data.shapes import Shape, ShapeBatch
from kpconv_ros.evaluation.part_metrics import PartScores
from kpconv_ros.losses.segmentation import segmentation_loss
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN, PartKPFCNNConfig
from kpconv_ros.training.loop import TrainingError
from kpconv_ros.training.processes import mean_over_processes
from kpconv_ros.training.shapes import ShapeTraining, ShapeTrainingConfig, add_arguments, encoder_sizes, train_on_shapes

__all__ = ["add_arguments", "run"]


class PartsTraining(ShapeTraining):
    """Training of a KP-FCNN with a head for each object class."""

    network: PartKPFCNN

    def __init__(
        self, config: ShapeTrainingConfig, shape_set: ShapeSet, out: Path, held_out: Sequence[Shape] = ()
    ) -> None:
        """Build the network, and take up the checkpoint in ``out`` if there is one.

        Raises:
            TrainingError: If the objects have no parts.
        """
        if not shape_set.num_parts:
            raise TrainingError(f"data: expected a dataset with parts, got {config.data}, which has none")
        torch.manual_seed(config.seed)
        sizes = PartKPFCNNConfig(
            num_classes=sum(shape_set.num_parts), num_parts=shape_set.num_parts, **encoder_sizes(config)
        )
        super().__init__(config, shape_set, PartKPFCNN(sizes), out, held_out)

    def compute_loss(self, batch: ShapeBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean cross entropy over the labelled voxels, each by the head of its object, and the accuracy."""
        with self.autocast():
            logits = self.network(batch.points, batch.lengths, batch.features, batch.categories)
        total = mean_over_processes((batch.labels >= 0).sum().float()).clamp(min=1)  # as one mean over all voxels
        loss = segmentation_loss(logits, batch.labels, None, 0.0, total)
        right = (logits.detach().argmax(1) == batch.labels)[batch.labels >= 0].float().mean()
        return loss + self.config.regularization * self.network.regularization(), {"accuracy": right}

    def score_shape(self, shape: Shape, probabilities: NDArray[np.float32]) -> float:
        """Return the mean IoU over the parts, so that the score of a validation is the instance mIoU."""
        assert shape.labels is not None
        scores = PartScores(self.shape_set.num_parts)
        return scores.add(shape.category, shape.labels, probabilities.argmax(axis=1) + 1)


def run(args: argparse.Namespace) -> int:
    """Train and export; a second call goes on where the first stopped."""
    return train_on_shapes(args, ShapeTrainingConfig, PartsTraining)
