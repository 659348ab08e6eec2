# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NeuralQAAD: an autodecoder that folds a learned cloud, patch by patch, into the cloud that a short code stands for.

"NeuralQAAD: An Efficient Differentiable Framework for Compressing High Resolution Consistent Point Clouds Datasets",
sections 3.3 and 4.2. The first layers are shared by all K patches, the last are each patch's own; all patches are
computed together as batched matrix products, the grouped convolution of the paper.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kpconv_ros.config_io import param
from kpconv_ros.geometry.kd_cells import kd_order
from kpconv_ros.layers.patch_linear import ALL, PatchLinear, shared_linear
from kpconv_ros.layers.selu import selu
from kpconv_ros.networks.encoder import NetworkError

CACHED_POINTS = 2048  # points that a CPU folds at once where no gradient is wanted: their features stay in its cache


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
        self.of_latent = shared_linear(config.latent_size, first)
        self.of_point = shared_linear(3, first, bias=False)
        widths = [first, *others]
        self.shared = nn.ModuleList(shared_linear(a, b) for a, b in zip(widths, others, strict=False))
        # A patch folds the common features and the point (Figure 1), so its first layer is split likewise.
        self.patch_point = PatchLinear(patches, 3, config.patch_widths[0], bias=False)
        widths = [widths[-1], *config.patch_widths, 3]
        self.patch = nn.ModuleList(PatchLinear(patches, a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))

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
        of_latents = self.of_latent(latents)
        if torch.is_grad_enabled() or latents.device.type != "cpu":
            return self._fold(of_latents, points, ALL)
        step = max(1, CACHED_POINTS // max(1, len(latents) * points.shape[1]))
        parts = [slice(first, first + step) for first in range(0, len(points), step)]
        return torch.cat([self._fold(of_latents, points[part], part) for part in parts], 1)

    def _fold(self, of_latents: Tensor, points: Tensor, part: slice) -> Tensor:
        """Fold the points ``(k, p, 3)`` of some patches for B codes, whose share of the first layer is ``(B, C)``."""
        # The patches come first, so that no product needs a copy in another order.
        features = selu(self.of_point(points)[:, None] + of_latents[:, None])  # (k, B, p, C)
        patches, batch, count = features.shape[:3]
        for layer in self.shared:
            features = selu(layer(features))
        first, *others = self.patch
        folded = features.reshape(patches, batch * count, -1)
        hidden: Tensor = first(folded, part).view(patches, batch, count, -1) + self.patch_point(points, part)[:, None]
        hidden = hidden.view(patches, batch * count, -1)
        for layer in others:
            hidden = layer(selu(hidden), part)
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
