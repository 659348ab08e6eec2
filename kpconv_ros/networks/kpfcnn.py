# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KP-FCNN: the fully convolutional network for segmentation.

Thomas et al., "KPConv: Flexible and Deformable Convolution for Point Clouds", ICCV 2019, arXiv:1904.08889,
section 3.4 and Figures 8 and 9.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.layers.blocks import Unary
from kpconv_ros.layers.low_precision import Linear
from kpconv_ros.networks.decoder import Decoder
from kpconv_ros.networks.encoder import Encoder, EncoderConfig, check_features, offset_regularization
from kpconv_ros.networks.pyramid import Level


@dataclass(frozen=True)
class KPFCNNConfig(EncoderConfig):
    """Every size of a KP-FCNN."""

    half_decoder: bool = False
    """Decoder and head of half the width, the head with a batch norm, as in the authors' TensorFlow code."""
    leaky_logits: bool = False
    """A leaky ReLU on the logits, as Open3D-ML has it: no other class wins, but the probabilities are others."""


class KPFCNN(nn.Module):
    """Encoder of KPConv blocks, decoder of nearest upsampling, skip links and unary blocks, one logit a class."""

    def __init__(self, config: KPFCNNConfig) -> None:
        """Build the network of ``config`` with random weights."""
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(self.encoder.widths, config.momentum, config.slope, config.half_decoder)
        width = self.decoder.width
        self.head: nn.Module = Linear(width, width)
        if config.half_decoder:
            self.head = Unary(width, width, config.momentum, linear=True)
        self.classifier = Linear(width, config.num_classes)

    def forward(self, points: Tensor, lengths: Tensor, features: Tensor) -> Tensor:
        """Classify every point.

        Args:
            points: One point a voxel, packed, ``(N, 3)``, metres.
            lengths: ``(B,)`` int64.
            features: ``(N, in_features)``.

        Returns:
            Logits, ``(N, num_classes)``.

        Raises:
            NetworkError: If the features do not fit.
        """
        check_features(features, points, self.config.in_features)
        if not len(points):
            return features.new_zeros(0, self.config.num_classes)
        return self.classify(self.build_levels(points, lengths), features)

    def build_levels(self, points: Tensor, lengths: Tensor) -> list[Level]:
        """Build the pyramid that :meth:`classify` works on."""
        return self.config.build_levels(points, lengths)

    def classify(self, levels: list[Level], features: Tensor) -> Tensor:
        """Return the logits ``(N, num_classes)`` of a pyramid with input ``features (N, in_features)``."""
        return self.decode(levels, self.encoder(levels, features))

    def decode(self, levels: list[Level], ends: list[Tensor]) -> Tensor:
        """Return the logits ``(N, num_classes)`` from the features that :class:`Decoder` takes."""
        features = self.decoder(levels, ends)
        logits: Tensor = self.classifier(functional.leaky_relu_(self.head(features), self.config.slope))
        return functional.leaky_relu_(logits, self.config.slope) if self.config.leaky_logits else logits

    def regularization(self) -> Tensor:
        """Return the summed offset regularisation of the last training forward, Eq. (6); 0 for a rigid network."""
        return offset_regularization(self)
