# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feature reallocation of dense supervision propagation (DSP): a point's features rebuilt from those of similar points.

Wei et al., "Dense Supervision Propagation for Weakly Supervised Semantic Segmentation on 3D Point Clouds",
arXiv:2107.11267, sections 3.2 (across samples, CSFR) and 3.3 (within a sample, ISFR). Only training has these modules.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class FeatureReallocation(nn.Module):
    """Rebuilds features from others by a learnable bilinear affinity, Eqs. (2)-(4) and (6)-(8)."""

    def __init__(self, channels: int, max_affinities: int = 1 << 22) -> None:
        """Make the module.

        Args:
            channels: K.
            max_affinities: Most entries of an affinity matrix held at once; its rows are worked off in parts, and
                computed again in the backward pass.
        """
        super().__init__()
        self.affinity = nn.Parameter(torch.eye(channels) / channels**0.5)  # W, starts as scaled dot products
        self.max_affinities = max_affinities

    def forward(self, queries: Tensor, sources: Tensor, transposed: bool = False) -> Tensor:
        """Rebuild each query from the sources: softmax(Q W S^T) S.

        Args:
            queries: ``(M, K)``.
            sources: ``(N, K)``, N above 0.
            transposed: Use W^T: the affinity A^T of the other direction of a pair, Eq. (3).

        Returns:
            ``(M, K)``: each row a weighted sum of rows of ``sources``, without a residual connection.
        """
        weight = self.affinity.t() if transposed else self.affinity
        rows = max(1, self.max_affinities // max(len(sources), 1))
        parts = [checkpoint(_reallocate, part, sources, weight, use_reentrant=False) for part in queries.split(rows)]
        return torch.cat(parts) if parts else queries


def _reallocate(queries: Tensor, sources: Tensor, weight: Tensor) -> Tensor:
    return torch.softmax(queries @ weight @ sources.t(), dim=1) @ sources
