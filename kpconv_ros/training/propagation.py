# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dense supervision propagation (DSP): training of KP-FCNN on few labels, in two stages.

Wei et al., "Dense Supervision Propagation for Weakly Supervised Semantic Segmentation on 3D Point Clouds",
arXiv:2107.11267. Stage 1 propagates across pairs of spheres that share a class (CSFR), stage 2 within each (ISFR).

Note:
    The squared Frobenius norms of Eqs. (5) and (9) are divided by the number of their entries, else their weight would
    depend on the size of the spheres.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.layers.feature_reallocation import FeatureReallocation
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.networks.pyramid import Level

SMALLEST_COUNT = 1e-6  # in place of 0 rows


class Branches(NamedTuple):
    """Logits of both branches of a batch, for the points of the clouds that were reallocated."""

    original: Tensor
    """Z, ``(N, C)``."""
    reallocated: Tensor
    """Z^c or Z^s, ``(N, C)``; equal to the original where a cloud found no partner."""
    rows: Tensor
    """Whether the point's cloud was reallocated, ``(N,)`` bool."""

    def gap(self, num_rows: Tensor | None = None) -> Tensor:
        """Return the regularisation between the branches, Eq. (5) or (9), mean over the entries; 0 without any.

        Args:
            num_rows: Number of rows to divide by, in place of those here: that of several batches.
        """
        squares = (self.original[self.rows] - self.reallocated[self.rows]).square().sum()
        count = self.rows.sum() if num_rows is None else num_rows
        return squares / (count.clamp(min=SMALLEST_COUNT) * self.original.shape[1])


def propagate(
    network: KPFCNN,
    module: FeatureReallocation,
    levels: list[Level],
    features: Tensor,
    partners: list[int],
) -> Branches:
    """Run encoder and both branches of the decoder; features are reallocated after the first upsampling.

    Args:
        network: At least three levels.
        module: For the channels of the second coarsest level.
        levels: Pyramid of B clouds.
        features: ``(N, in_features)``.
        partners: For each cloud the one whose features rebuild its own: itself for ISFR, another for CSFR, -1 for none.
    """
    ends = network.encoder(levels, features)
    level = len(ends) - 2
    middle = network.decoder.upsample(level, levels, ends[-1], ends[level])  # (N_level, K)
    clouds = middle.split(levels[level].lengths.tolist())
    rebuilt = [
        cloud if partner < 0 else module(cloud, clouds[partner], transposed=partner <= index)
        for index, (cloud, partner) in enumerate(zip(clouds, partners, strict=True))
    ]
    original = network.decode(levels, [*ends[:level], middle])
    reallocated = network.decode(levels, [*ends[:level], torch.cat(rebuilt)])
    has_partner = torch.tensor(partners, device=features.device) >= 0
    return Branches(original, reallocated, torch.repeat_interleave(has_partner, levels[0].lengths))


def pair_clouds(labels: Tensor, lengths: Tensor) -> list[int]:
    """Pair the clouds of a batch so that both of a pair share a labelled class, section 3.2; first come, first served.

    Each of several processes pairs the clouds of its own batch: across processes, features would have to be exchanged.

    Args:
        labels: ``(N,)`` int64, -1 is unlabelled.
        lengths: ``(B,)``.

    Returns:
        For each cloud its partner, -1 for one that is left over.
    """
    classes = [set(part[part >= 0].tolist()) for part in labels.split(lengths.tolist())]
    partners = [-1] * len(classes)
    for one in range(len(classes)):
        for other in range(one + 1, len(classes)):
            if partners[one] < 0 and partners[other] < 0 and classes[one] & classes[other]:
                partners[one], partners[other] = other, one
    return partners


def weaken_labels(labels: NDArray[np.uint8], share: float, generator: Generator) -> NDArray[np.uint8]:
    """Keep the labels of a random share of the points of each class, at least one; the others become 0.

    Args:
        labels: ``(N,)``, 0 is unlabelled.
        share: Above 0, up to 1.
        generator: Draws them.
    """
    weak = np.zeros_like(labels)
    for label in np.unique(labels[labels > 0]):
        rows = np.flatnonzero(labels == label)
        kept = generator.choice(rows, max(1, round(share * len(rows))), replace=False)
        weak[kept] = label
    return weak
