# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbourhood co-occurrence matrices (NCM): which classes are found around which.

Gong, Ye, Ma: "Neighborhood co-occurrence modeling in 3D point cloud segmentation", Computational Visual Media 8(2),
2022. Row c of the matrix is the distribution of classes in the neighbourhoods of the points of class c. The matrix of
the predicted class probabilities is drawn towards that of the labels by a Kullback-Leibler divergence.

Note:
    Only a fragment of the text was at hand. That a neighbourhood is the one in which the network convolves at full
    resolution, and that the divergence is averaged over the rows of the classes that occur, is our reading.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from kpconv_ros.geometry.neighbors import NeighborLists

CHUNK_PAIRS = 1 << 18  # pairs of neighbours whose class probabilities are held at once
SMALLEST = 1e-6  # probability below which a logarithm sees this


def cooccurrences(maps: Tensor, lists: NeighborLists) -> Tensor:
    """Count which classes meet in neighbourhoods: M[c, d] = sum_n sum_{j in A(n)} Y[n, c] Y[j, d].

    Memory is bounded by that of ``maps`` and of a chunk of pairs, however many neighbours there are.

    Args:
        maps: Y, class probabilities or one-hot labels, ``(N, C)``; a point with a row of zeros counts nowhere.
        lists: The neighbours A of the same N points.

    Returns:
        ``(C, C)``, differentiable in ``maps``.
    """
    out: Tensor = _Cooccurrences.apply(maps, lists)
    return out


class _Cooccurrences(Function):
    """M = Y^T A Y, so dM = dY^T (A Y) + (A^T Y)^T dY."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, lists: NeighborLists) -> Tensor:
        around = _sum_neighbors(maps.detach(), lists.rows(), lists.columns.long())  # A Y
        ctx.save_for_backward(maps, around)
        ctx.lists = lists
        return maps.detach().t() @ around

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        maps, around = ctx.saved_tensors
        asking = _sum_neighbors(maps.detach(), ctx.lists.columns.long(), ctx.lists.rows())  # A^T Y
        return around @ gradient.t() + asking @ gradient, None


def _sum_neighbors(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return, for each point, the sum of the maps ``(N, C)`` of its neighbours, chunk of pairs by chunk."""
    sums = torch.zeros_like(maps)
    for first in range(0, len(rows), CHUNK_PAIRS):
        part = slice(first, first + CHUNK_PAIRS)
        sums.index_add_(0, rows[part], maps[columns[part]])
    return sums


def normalize_cooccurrences(counts: Tensor) -> Tensor:
    """Return the NCM: each row of ``counts (C, C)`` over its sum, Eqs. (1) and (2); rows of zeros stay."""
    return counts / counts.sum(1, keepdim=True).clamp(min=SMALLEST)


def one_hot_labels(labels: Tensor, num_classes: int) -> Tensor:
    """Return ``(N, C)`` float32 of labels ``(N,)`` int64; a negative label gives a row of zeros."""
    return functional.one_hot(labels.clamp(min=0), num_classes) * (labels >= 0)[:, None].float()


def cooccurrence_loss(predicted: Tensor, target: Tensor, reverse: bool = False) -> Tensor:
    """Kullback-Leibler divergence between two NCMs, mean over the rows of the classes that occur in the target.

    Args:
        predicted: P, ``(C, C)``.
        target: T, ``(C, C)``.
        reverse: KL(P || T), Eq. (6), for a sample that differs much from the scene that T describes; else KL(T || P).

    Returns:
        A scalar, 0 if no class occurs.
    """
    occurs = target.sum(1) > 0
    predicted, target = predicted[occurs], target[occurs]
    if not len(target):
        return predicted.sum()
    at, other = (predicted, target) if reverse else (target, predicted)
    ratio = at.clamp(min=SMALLEST).log() - other.clamp(min=SMALLEST).log()
    return (at * ratio).sum(1).mean()


def ncm_loss(
    logits: Tensor, labels: Tensor, lists: NeighborLists, scene: Tensor | None = None, reverse: bool = False
) -> Tensor:
    """Draw the NCM of a prediction to that of the labels, or of the whole scene.

    Args:
        logits: ``(N, C)``.
        labels: ``(N,)`` int64; points with a negative one count neither in the target nor in the prediction.
        lists: Neighbours of the N points.
        scene: NCM of the whole scene, ``(C, C)``, as target; else that of ``labels``.
        reverse: See :func:`cooccurrence_loss`.
    """
    num_classes = logits.shape[1]
    probabilities = logits.float().softmax(1) * (labels >= 0)[:, None]
    predicted = normalize_cooccurrences(cooccurrences(probabilities, lists))
    if scene is None:
        scene = normalize_cooccurrences(cooccurrences(one_hot_labels(labels, num_classes), lists))
    return cooccurrence_loss(predicted, scene, reverse)
