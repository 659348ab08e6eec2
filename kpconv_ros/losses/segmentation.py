# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objectives of segmentation: weighted cross entropy and Lovasz-Softmax."""

import torch
from torch import Tensor
from torch.nn import functional


def class_weights(counts: Tensor, power: float = 0.5) -> Tensor:
    """Return weights ``(C,)`` that fall with the frequency of a class, 1 on average over the classes that occur.

    Args:
        counts: Points of each class, ``(C,)``.
        power: 0 weighs all alike, 1 by the inverse frequency.
    """
    present = counts > 0
    weights = torch.where(present, counts.clamp(min=1).double().pow(-power), 0.0)
    return (weights / weights[present].mean()).float()


def lovasz_softmax(probabilities: Tensor, labels: Tensor, ignore_label: int = -1) -> Tensor:
    """Lovasz-Softmax loss: a convex surrogate of the mean IoU over the classes that occur.

    Berman, Triki, Blaschko, "The Lovasz-Softmax loss", CVPR 2018, arXiv:1705.08790, Eq. (11) and Algorithm 1.

    Args:
        probabilities: ``(N, C)``.
        labels: ``(N,)`` int64.
        ignore_label: Rows with this label do not count.
    """
    kept = labels != ignore_label
    probabilities, labels = probabilities[kept], labels[kept]
    if not len(labels):
        return probabilities.sum()
    losses = []
    for label in labels.unique():
        foreground = (labels == label).to(probabilities.dtype)
        errors, order = (foreground - probabilities[:, label]).abs().sort(descending=True)
        truth = foreground[order]
        intersection = truth.sum() - truth.cumsum(0)
        union = truth.sum() + (1 - truth).cumsum(0)
        jaccard = 1 - intersection / union
        gradient = torch.cat([jaccard[:1], jaccard.diff()])
        losses.append(errors @ gradient)
    return torch.stack(losses).mean()


def segmentation_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None, lovasz: float, total: Tensor | None = None
) -> Tensor:
    """Weighted cross entropy plus ``lovasz`` times Lovasz-Softmax; label -1 does not count.

    Args:
        logits: ``(N, C)``.
        labels: ``(N,)`` int64.
        weights: Of the classes, ``(C,)``.
        lovasz: Weight of the second term.
        total: By which the summed cross entropy is divided, a scalar; the summed weights of ``labels`` if None.
    """
    logits = logits.float()
    if not bool((labels >= 0).any()):
        return logits.sum() * 0
    reduction = "mean" if total is None else "sum"
    loss = functional.cross_entropy(logits, labels, weights, ignore_index=-1, reduction=reduction)
    loss = loss if total is None else loss / total
    if lovasz:
        loss = loss + lovasz * lovasz_softmax(logits.softmax(1), labels)
    return loss
