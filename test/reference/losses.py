# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lovasz-Softmax from its definition: the Lovasz extension of the Jaccard loss, one sorted error at a time."""

import torch
from torch import Tensor


def looped_lovasz_softmax(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Mean over the classes that occur of sum_i m_(i) (J(first i errors) - J(first i - 1 errors))."""
    losses = []
    for label in sorted(set(labels.tolist())):
        truth = [bool(value == label) for value in labels]
        errors = torch.stack([1 - p[label] if t else p[label] for p, t in zip(probabilities, truth, strict=True)])
        total, wrong, before = errors.new_zeros(()), set(), 0.0
        for row in sorted(range(len(errors)), key=lambda i: -errors[i].item()):
            wrong.add(row)
            missed = sum(truth[i] for i in wrong)
            invented = len(wrong) - missed
            jaccard_loss = 1 - (sum(truth) - missed) / (sum(truth) + invented)
            total = total + errors[row] * (jaccard_loss - before)
            before = jaccard_loss
        losses.append(total)
    return torch.stack(losses).mean()
