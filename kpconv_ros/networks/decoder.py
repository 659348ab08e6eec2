# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder of KP-FCNN, whatever heads stand after it: nearest upsampling, skip links and unary blocks.

Thomas et al., "KPConv: Flexible and Deformable Convolution for Point Clouds", ICCV 2019, arXiv:1904.08889,
section 3.4 and Figure 8.
"""

from torch import Tensor, nn

from kpconv_ros.layers.blocks import SLOPE, Unary
from kpconv_ros.networks.pyramid import Level


class Decoder(nn.ModuleList):
    """A unary block for each level but the coarsest, coarsest first."""

    def __init__(self, widths: list[int], momentum: float, slope: float = SLOPE, is_half: bool = False) -> None:
        """Build the blocks with random weights.

        Args:
            widths: Features of each level at the encoder's end, finest first; the decoder gives each the same number.
            momentum: Of the batch norms.
            slope: Of the leaky ReLUs below zero.
            is_half: Give half as many.
        """
        super().__init__()
        self.width = widths[-1]
        """Features of the finest level."""
        for skip in reversed(widths[:-1]):
            out = skip // 2 if is_half else skip
            self.append(Unary(self.width + skip, out, momentum, slope=slope))
            self.width = out

    def forward(self, levels: list[Level], ends: list[Tensor]) -> Tensor:
        """Return the features of the finest level, ``(N, width)``.

        Args:
            levels: Of the pyramid.
            ends: Features of each level at the encoder's end, finest first. The last ones may be left out: then the
                last in ``ends`` holds the decoder's features of its level, from which it goes on.
        """
        features = ends[-1]
        for level in reversed(range(len(ends) - 1)):
            features = self.upsample(level, levels, features, ends[level])
        return features

    def upsample(self, level: int, levels: list[Level], coarse: Tensor, skip: Tensor) -> Tensor:
        """Return the features of ``level`` from those of the next coarser one and the skip link."""
        unary, nearest = self[len(levels) - 2 - level], levels[level].coarse_of_fine
        assert isinstance(unary, Unary) and nearest is not None
        return unary.upsample_and_join(coarse, nearest, skip)
