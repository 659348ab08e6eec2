# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KP-CNN: the network for classification of whole clouds.

Thomas et al., "KPConv: Flexible and Deformable Convolution for Point Clouds", ICCV 2019, arXiv:1904.08889,
section 3.4 and Figure 8: five levels of two blocks, global average pooling, two fully connected layers, dropout 0.5.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.geometry.packing import cloud_of_point
from kpconv_ros.layers.low_precision import Linear
from kpconv_ros.networks.encoder import Encoder, EncoderConfig, NetworkError, check_features, offset_regularization


@dataclass(frozen=True)
class KPCNNConfig(EncoderConfig):
    """Every size of a KP-CNN."""

    hidden: int = 1024
    """Features of the fully connected layer."""
    dropout: float = 0.5
    """Probability with which one of them is left out in training."""


class KPCNN(nn.Module):
    """Encoder of KPConv blocks, mean over each cloud, two fully connected layers, one logit a class."""

    def __init__(self, config: KPCNNConfig) -> None:
        """Build the network of ``config`` with random weights."""
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.head = Linear(self.encoder.widths[-1], config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = Linear(config.hidden, config.num_classes)

    def forward(self, points: Tensor, lengths: Tensor, features: Tensor) -> Tensor:
        """Classify every cloud.

        Args:
            points: One point a voxel, packed, ``(N, 3)``, metres.
            lengths: ``(B,)`` int64, none 0.
            features: ``(N, in_features)``.

        Returns:
            Logits, ``(B, num_classes)``.

        Raises:
            NetworkError: If the features do not fit, or a cloud is empty.
        """
        config = self.config
        check_features(features, points, config.in_features)
        if bool((lengths == 0).any()):
            raise NetworkError(f"lengths: expected clouds of one point or more, got {lengths.tolist()}")
        if not len(lengths):
            return features.new_zeros(0, config.num_classes)
        levels = config.build_levels(points, lengths)
        means = mean_of_clouds(self.encoder(levels, features)[-1], levels[-1].lengths)
        out: Tensor = self.classifier(self.dropout(functional.leaky_relu_(self.head(means), config.slope)))
        return out

    def regularization(self) -> Tensor:
        """Return the summed offset regularisation of the last training forward, Eq. (6); 0 for a rigid network."""
        return offset_regularization(self)


def mean_of_clouds(features: Tensor, lengths: Tensor) -> Tensor:
    """Average packed features ``(N, C)`` over each of B clouds, ``(B, C)``, float32 or more; no cloud may be empty."""
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    sums = features.new_zeros(len(lengths), features.shape[1]).index_add(0, cloud_of_point(lengths), features)
    return sums / lengths[:, None]
