# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of deformable networks."""

from collections.abc import Callable
from pathlib import Path

import torch

from kpconv_ros.layers.kpconv import DeformableKPConv
from kpconv_ros.training.segment import SegmentTraining

Make = Callable[..., SegmentTraining]


def test_the_last_five_blocks_are_deformable_and_their_offsets_get_gradients(
    make_training: Make, tmp_path: Path
) -> None:
    training = make_training(tmp_path, encoder="paper_deformable", regularization=0.0, bf16=False)
    blocks = [isinstance(block.conv, DeformableKPConv) for block in training.network.encoder]
    assert blocks == [False] * 5 + [True] * 5
    training.train_step(training.draw_batch(0))
    gradients = {name: p.grad for name, p in training.network.named_parameters() if "offset" in name}
    assert len(gradients) == 10 and all(gradient is not None for gradient in gradients.values())
    of_first = [
        gradient for name, gradient in gradients.items() if name.startswith("encoder.5.") and gradient is not None
    ]
    assert len(of_first) == 2 and all(float(gradient.abs().max()) > 0 for gradient in of_first)  # of the loss itself


def test_training_lowers_the_regularisation(make_training: Make, tmp_path: Path) -> None:
    changes = {"encoder": "paper_deformable", "offset_factor": 1.0, "steps": 30, "learning_rate": 0.01, "average": 0.0}
    ends = {}
    for weight in (0.0, 1.0):
        folder = tmp_path / str(weight)
        training = make_training(folder, regularization=weight, bf16=False, **changes)
        batch = training.draw_batch(0)
        for _ in range(15):
            training.train_step(batch)
        training.network.train()
        with torch.no_grad():
            training.compute_loss(batch)
        ends[weight] = float(training.network.regularization())
    first = make_training(tmp_path / "first", regularization=1.0, bf16=False, **changes)
    with torch.no_grad():
        first.network.train()
        first.compute_loss(batch)
    start = float(first.network.regularization())
    assert ends[1.0] < 0.8 * start and ends[1.0] < 0.8 * ends[0.0]
