# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of KP-CNN for classification: ``kpconv-ros train classify --config FILE --root ROOT --out OUT``."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from kpconv_ros.config_io import param
from kpconv_ros.data.shape_sets import ShapeSet
from kpconv_ros.data.shapes import Shape, ShapeBatch
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.training.processes import mean_over_processes
from kpconv_ros.training.shapes import ShapeTraining, ShapeTrainingConfig, add_arguments, encoder_sizes, train_on_shapes

__all__ = ["add_arguments", "run"]


@dataclass(frozen=True)
class ClassifyTrainingConfig(ShapeTrainingConfig):
    """One training of a KP-CNN."""

    hidden: int = param(1024, "features of the fully connected layer", 1)
    dropout: float = param(0.5, "probability with which one of them is left out", 0.0, 1.0)


class ClassifyTraining(ShapeTraining):
    """Training of a KP-CNN."""

    config: ClassifyTrainingConfig
    network: KPCNN

    def __init__(
        self, config: ClassifyTrainingConfig, shape_set: ShapeSet, out: Path, held_out: Sequence[Shape] = ()
    ) -> None:
        """Build the network, and take up the checkpoint in ``out`` if there is one."""
        torch.manual_seed(config.seed)
        sizes = KPCNNConfig(
            num_classes=len(shape_set.classes), hidden=config.hidden, dropout=config.dropout, **encoder_sizes(config)
        )
        super().__init__(config, shape_set, KPCNN(sizes), out, held_out)

    def compute_loss(self, batch: ShapeBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean cross entropy over the objects, and the accuracy."""
        with self.autocast():
            logits = self.network(batch.points, batch.lengths, batch.features).float()
        total = mean_over_processes(logits.new_tensor(len(logits)))  # the mean over processes is one over all objects
        loss = functional.cross_entropy(logits, batch.categories, reduction="sum") / total
        right = (logits.detach().argmax(1) == batch.categories).float().mean()
        return loss + self.config.regularization * self.network.regularization(), {"accuracy": right}

    def score_shape(self, shape: Shape, probabilities: NDArray[np.float32]) -> float:
        """Return 1 if the class is right, so that the score of a validation is the accuracy."""
        return float(probabilities.argmax() == shape.category)


def run(args: argparse.Namespace) -> int:
    """Train and export; a second call goes on where the first stopped."""
    return train_on_shapes(args, ClassifyTrainingConfig, ClassifyTraining)
