# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NeuralQAAD patch by patch, each with the whole MLP on joined codes and points; k-d cells by recursion."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from kpconv_ros.networks.neural_qaad import NeuralQAAD


def decode_by_patches(network: NeuralQAAD, latents: Tensor, rows: Tensor | None = None) -> Tensor:
    """Return what the network does, ``(B, K, p, 3)``, one patch after the other."""
    patches = []
    for patch in range(network.config.num_patches):
        points = network.input_cloud[patch]
        points = points if rows is None else points[rows[patch]]
        patches.append(fold_patch(network, patch, latents, points))
    return torch.stack(patches, 1)


def fold_patch(network: NeuralQAAD, patch: int, latents: Tensor, points: Tensor) -> Tensor:
    """Fold the points ``(p, 3)`` of one patch for codes ``(B, L)``: ``(B, p, 3)``."""
    batch, count = len(latents), len(points)
    of_points = points.expand(batch, -1, -1)
    features = torch.cat([latents[:, None].expand(-1, count, -1), of_points], 2)  # (B, p, L + 3)
    weight = torch.cat([network.of_latent.weight, network.of_point.weight], 1)
    features = functional.selu(functional.linear(features, weight, network.of_latent.bias))
    for layer in network.shared:
        features = functional.selu(layer(features))
    features = torch.cat([features, of_points], 2)
    weights = [layer.weight[patch] for layer in network.patch]
    weights[0] = torch.cat([weights[0], network.patch_point.weight[patch]])
    biases = [layer.bias[patch] for layer in network.patch]
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        features = functional.selu(features @ weight + bias)
    return features @ weights[-1] + biases[-1]


def kd_cells(cloud: Tensor, num_cells: int, axes: Sequence[int] = (0, 1, 2)) -> list[list[int]]:
    """Return the rows of each cell of a cloud ``(N, 3)`` without equal coordinates, in canonical order."""

    def divide(rows: list[int], first: int, end: int, level: int) -> list[list[int]]:
        if end - first == 1:
            return [rows]
        middle, axis = (first + end) // 2, axes[level % len(axes)]
        ordered = sorted(rows, key=lambda row: float(cloud[row, axis]))
        lower = middle * len(cloud) // num_cells - first * len(cloud) // num_cells
        return divide(ordered[:lower], first, middle, level + 1) + divide(ordered[lower:], middle, end, level + 1)

    return divide(list(range(len(cloud))), 0, num_cells, 0)
