# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NeuralQAAD: an autodecoder that folds a learned cloud, patch by patch, into the cloud that a short code stands for.

"NeuralQAAD: An Efficient Differentiable Framework for Compressing High Resolution Consistent Point Clouds Datasets",
sections 3.3 and 4.2. The first layers are shared by all K patches, the last are each patch's own; all patches are
computed together as batched matrix products, the grouped convolution of the paper.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.config_io import param
from kpconv_ros.geometry.kd_cells import kd_order
from kpconv_ros.networks.encoder import NetworkError


@dataclass(frozen=True)
class NeuralQAADConfig:
    """Sizes of a NeuralQAAD."""

    num_patches: int = param(16, "patches K, each with last layers of its own", 1)
    points_per_patch: int = param(512, "points P of a patch", 1)
    latent_size: int = param(64, "numbers L of a code", 1)
    num_instances: int = param(0, "clouds in the table of codes; 0 for a decoder that is given its codes", 0)
    shared_widths: tuple[int, ...] = param((256, 128, 128, 128), "layers that all patches share", 1)
    patch_widths: tuple[int, ...] = param((64,), "hidden layers of each patch; one to three coordinates follows", 1)

    def __post_init__(self) -> None:
        """Check the layers.

        Raises:
            NetworkError: If there is no shared or no hidden patch layer.
        """
        if not self.shared_widths or not self.patch_widths:
            raise NetworkError(
                f"expected shared_widths and patch_widths, got {self.shared_widths}, {self.patch_widths}"
            )


class PatchLinear(nn.Module):
    """A linear layer for each of K patches, as one batched product."""

    def __init__(self, num_patches: int, in_channels: int, out_channels: int) -> None:
        """Draw weights of variance 1 / Cin, which keeps that of SELU networks."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_patches, in_channels, out_channels) / math.sqrt(in_channels))
        self.bias = nn.Parameter(torch.zeros(num_patches, 1, out_channels))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(K, n, Cin)`` to ``(K, n, Cout)``."""
        return torch.baddbmm(self.bias, features, self.weight)


class NeuralQAAD(nn.Module):
    """Input cloud Q, folding layers, and the table L of codes.

    Attributes:
        input_cloud: Q, ``(K, P, 3)``, trainable; see :func:`split_into_patches`.
        latents: L, ``(num_instances, latent_size)``, trainable.
    """

    def __init__(self, config: NeuralQAADConfig) -> None:
        """Build the network of ``config`` with random weights, a random input cloud and codes of 0."""
        super().__init__()
        self.config = config
        patches, first, *others = config.num_patches, *config.shared_widths
        self.input_cloud = nn.Parameter(torch.randn(patches, config.points_per_patch, 3))
        self.latents = nn.Parameter(torch.zeros(config.num_instances, config.latent_size))
        # W [l; q] = W_l l + W_q q: the first product is one for all points of a cloud, the second one for all clouds.
        self.of_latent = nn.Linear(config.latent_size, first)
        self.of_point = nn.Linear(3, first, bias=False)
        widths = [first, *others]
        self.shared = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, others, strict=False))
        # A patch folds the common features and the point (Figure 1), so its first layer is split likewise.
        self.patch_point = PatchLinear(patches, 3, config.patch_widths[0])
        widths = [widths[-1], *config.patch_widths, 3]
        self.patch = nn.ModuleList(PatchLinear(patches, a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        for linear in (self.of_latent, self.of_point, *self.shared):
            nn.init.normal_(linear.weight, std=1 / math.sqrt(linear.in_features))
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)

    def forward(self, latents: Tensor, rows: Tensor | None = None) -> Tensor:
        """Decode codes, all points or some of each patch, Eq. (16).

        Args:
            latents: Codes l, ``(B, L)``: rows of the table, of an encoder, or any.
            rows: Points to decode of each patch, ``(K, p)`` int64, the same for all codes; None decodes all P.

        Returns:
            Points, ``(B, K, p, 3)``, in the order of the input cloud or of ``rows``.

        Raises:
            NetworkError: If shapes do not fit.
        """
        self._check(latents, rows)
        points = self.input_cloud if rows is None else self.input_cloud.gather(1, rows[..., None].expand(-1, -1, 3))
        # The patches come first, so that no product needs a copy in another order.
        features = self.of_point(points)[:, None] + self.of_latent(latents)[:, None]  # (K, B, p, C)
        features = functional.selu(features, inplace=True)
        for layer in self.shared:
            features = functional.selu(layer(features), inplace=True)
        patches, batch, count = features.shape[:3]
        folded = features.reshape(patches, batch * count, -1)
        first, *others = self.patch
        hidden: Tensor = first(folded).view(patches, batch, count, -1) + self.patch_point(points)[:, None]
        hidden = hidden.view(patches, batch * count, -1)
        for layer in others:
            hidden = layer(functional.selu(hidden, inplace=True))
        return hidden.view(patches, batch, count, 3).transpose(0, 1)

    def _check(self, latents: Tensor, rows: Tensor | None) -> None:
        patches, size = self.config.num_patches, self.config.latent_size
        if latents.ndim != 2 or latents.shape[1] != size:
            raise NetworkError(f"latents: expected (B, {size}), got {tuple(latents.shape)}")
        if rows is not None and (rows.ndim != 2 or len(rows) != patches):
            raise NetworkError(f"rows: expected ({patches}, p), got {tuple(rows.shape)}")


def split_into_patches(cloud: Tensor, num_patches: int, axes: tuple[int, ...] = (0, 1, 2)) -> Tensor:
    """Return the cells of a k-d tree of a cloud as patches of an input cloud, in canonical order.

    Args:
        cloud: ``(K P, 3)``.
        num_patches: K.
        axes: As of :func:`kpconv_ros.geometry.kd_cells.kd_order`.

    Returns:
        ``(K, P, 3)``.

    Raises:
        NetworkError: If the points do not fill the patches evenly.
    """
    if len(cloud) % num_patches:
        raise NetworkError(f"expected a multiple of {num_patches} points, got {len(cloud)}")
    return cloud[kd_order(cloud[None], num_patches, axes)[0]].view(num_patches, -1, 3)
