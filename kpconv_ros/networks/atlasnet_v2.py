# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""AtlasNetV2: learned patches, each folded by an MLP that shares nothing with the others.

Deprelle et al., "Learning Elementary Structures for 3D Shape Generation and Matching", NeurIPS 2019, arXiv:1908.04725,
with the layers that the paper of NeuralQAAD compares with (section 4.2): four of width 128 and SELU.

Note:
    The patches are learned point by point ("point learning" of the paper), so that the same subsets of points can be
    trained on as with NeuralQAAD; it was compared with the variant that learns a map of the unit square.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kpconv_ros.config_io import param
from kpconv_ros.layers.patch_linear import PatchLinear
from kpconv_ros.layers.selu import selu
from kpconv_ros.networks.encoder import NetworkError


@dataclass(frozen=True)
class AtlasNetV2Config:
    """Sizes of the decoder."""

    num_patches: int = param(12, "patches K", 1)
    points_per_patch: int = param(640, "points P of a patch", 1)
    latent_size: int = param(64, "numbers L of a code", 1)
    widths: tuple[int, ...] = param((128, 128, 128, 128), "layers of each patch; one to three coordinates follows", 1)

    def __post_init__(self) -> None:
        """Check the layers.

        Raises:
            NetworkError: If there is none.
        """
        if not self.widths:
            raise NetworkError("widths: expected at least one layer, got none")


class AtlasNetV2(nn.Module):
    """Decoder with patches of its own; takes codes and rows as :class:`~kpconv_ros.networks.neural_qaad.NeuralQAAD`.

    Attributes:
        input_cloud: The patches, ``(K, P, 3)``, trainable; random points of the unit square at first.
    """

    def __init__(self, config: AtlasNetV2Config) -> None:
        """Build the decoder of ``config`` with random weights."""
        super().__init__()
        self.config = config
        patches, first = config.num_patches, config.widths[0]
        square = torch.rand(patches, config.points_per_patch, 3)
        square[..., 2] = 0
        self.input_cloud = nn.Parameter(square)
        self.of_latent = PatchLinear(patches, config.latent_size, first)
        self.of_point = PatchLinear(patches, 3, first, bias=False)
        widths = [*config.widths, 3]
        self.layers = nn.ModuleList(PatchLinear(patches, a, b) for a, b in zip(widths, widths[1:], strict=False))

    def forward(self, latents: Tensor, rows: Tensor | None = None) -> Tensor:
        """Decode codes ``(B, L)``, all points or the ``rows (K, p)`` of each patch: ``(B, K, p, 3)``."""
        points = self.input_cloud if rows is None else self.input_cloud.gather(1, rows[..., None].expand(-1, -1, 3))
        patches, count, batch = len(points), points.shape[1], len(latents)
        of_latent = self.of_latent(latents.expand(patches, -1, -1))  # (K, B, C)
        hidden: Tensor = (self.of_point(points)[:, None] + of_latent[:, :, None]).view(patches, batch * count, -1)
        for layer in self.layers:
            hidden = layer(selu(hidden))
        return hidden.view(patches, batch, count, 3).transpose(0, 1)
