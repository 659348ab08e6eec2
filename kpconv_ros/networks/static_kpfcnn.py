# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KP-FCNN on a GPU for inference in tensors of fixed sizes, batch norms folded, one pass behind each matrix product.

The same function in evaluation as the :class:`.KPFCNN` that it is made from. Nothing in it waits for the device, so a
CUDA graph can hold all of it, pyramid included.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kpconv_ros.kernels.gpu.cells import Frame
from kpconv_ros.kernels.gpu.finish import finish_
from kpconv_ros.kernels.gpu.kernel_sum import Pairs, gather
from kpconv_ros.kernels.gpu.pooling import max_pool
from kpconv_ros.layers.blocks import ResidualBlock, SimpleBlock, Unary, fold_batch_norms
from kpconv_ros.layers.kpconv import DeformableKPConv, KPConv
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.networks.static_pyramid import Room, StaticLevel, StaticPyramid, build_static_pyramid


class _Product(NamedTuple):
    """A matrix ``(Cin, Cout)`` and what is added behind it."""

    matrix: Tensor
    bias: Tensor | None


class _Convolution(NamedTuple):
    points: Tensor
    """``(1, K, 3)``, metres."""
    sigma: float
    product: _Product
    """From ``K Cin``."""
    offsets: _Product | None
    """The same for the offsets, ``3 K``; None for a rigid one."""


class _Block(NamedTuple):
    strided: bool
    reduce: _Product | None
    convolution: _Convolution
    expand: _Product | None
    """None for a simple block; its bias holds that of the shortcut too."""
    shortcut: _Product | None


class StaticKPFCNN:
    """The network with its weights laid out for the kernels."""

    def __init__(self, network: KPFCNN, dtype: torch.dtype) -> None:
        """Take a copy of the weights, on their device; matrices are multiplied in ``dtype``."""
        folded = copy.deepcopy(network).eval().requires_grad_(False)
        fold_batch_norms(folded)
        self.config, self.dtype = network.config, dtype
        self._blocks = [self._block(block) for block in folded.encoder]
        self._decoder = [self._join(unary, width) for unary, width in zip(folded.decoder, self._coarse_widths(folded))]
        head = folded.head.linear if isinstance(folded.head, Unary) else folded.head
        assert isinstance(head, nn.Linear)
        self._head, self._classifier = self._product(head), self._product(folded.classifier)

    @torch.inference_mode()
    def __call__(
        self, points: Tensor, clouds: Tensor, features: Tensor, frame: Frame, room: Room
    ) -> tuple[Tensor, Tensor]:
        """Classify every point.

        Args:
            points: As in :func:`build_static_pyramid`, ``(N, 3)``.
            clouds: ``(N,)`` int64.
            features: ``(N, in_features)``.
            frame: Of the clouds.
            room: Sizes.

        Returns:
            Logits ``(N, num_classes)`` float32, and what would have been needed, see :attr:`StaticPyramid.needs`.
        """
        pyramid = self.build_pyramid(points, clouds, frame, room)
        return self.classify(pyramid.levels, features), pyramid.needs

    def build_pyramid(self, points: Tensor, clouds: Tensor, frame: Frame, room: Room) -> StaticPyramid:
        """Build the levels that :meth:`classify` works on."""
        config = self.config
        radii = (config.radii, config.pooling_radii)
        return build_static_pyramid(points, clouds, frame, config.voxel_size, *radii, room)

    def classify(self, levels: list[StaticLevel], features: Tensor) -> Tensor:
        """Return the logits ``(N, num_classes)`` float32 of a pyramid with input ``features (N, in_features)``."""
        slope, at, ends = self.config.slope, 0, {}
        features = features.to(self.dtype).contiguous()
        for block in self._blocks:
            pairs = levels[at].pooling if block.strided else levels[at].pairs
            assert pairs is not None
            features = self._run_block(block, features, pairs)
            at += block.strided
            ends[at] = features
        for of_skip, of_coarse in self._decoder:
            at -= 1
            coarse = torch.mm(features, of_coarse.matrix)
            features = torch.mm(ends[at], of_skip.matrix)
            finish_(features, of_skip.bias, slope, coarse, levels[at].coarse_of_fine)
        features = self._apply(self._head, features, slope)
        logits = torch.mm(features, self._classifier.matrix).float()
        return finish_(logits, self._classifier.bias, slope if self.config.leaky_logits else 1.0)

    def _run_block(self, block: _Block, features: Tensor, pairs: Pairs) -> Tensor:
        slope = self.config.slope
        reduced = features if block.reduce is None else self._apply(block.reduce, features, slope)
        convolved = finish_(self._convolve(block.convolution, reduced, pairs), block.convolution.product.bias, slope)
        if block.expand is None:
            return convolved
        if block.strided:
            features = self._pool(features, pairs)
        if block.shortcut is not None:
            features = torch.mm(features, block.shortcut.matrix)
        return finish_(torch.mm(convolved, block.expand.matrix), block.expand.bias, slope, features)

    def _convolve(self, convolution: _Convolution, features: Tensor, pairs: Pairs) -> Tensor:
        points, sigma, product, offsets = convolution
        gathered = gather(features, pairs, points, sigma)
        if offsets is not None:  # Eqs. (4) and (5)
            shifts = torch.mm(gathered, offsets.matrix).float()
            placed = points + sigma * finish_(shifts, offsets.bias, 1.0).unflatten(1, (-1, 3))
            gathered = gather(features, pairs, placed, sigma)
        return torch.mm(gathered, product.matrix)

    def _pool(self, features: Tensor, pairs: Pairs) -> Tensor:
        pooled = max_pool(features, pairs.lists)
        if not self.config.shadow_pooling:
            return pooled
        counts = pairs.lists.ends - pairs.lists.begins
        return torch.where((counts < counts.amax())[:, None], pooled.clamp(min=0), pooled)

    def _apply(self, product: _Product, features: Tensor, slope: float) -> Tensor:
        return finish_(torch.mm(features, product.matrix), product.bias, slope)

    # --- how the weights are laid out

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.to(self.dtype).contiguous()

    def _product(self, linear: nn.Linear) -> _Product:
        return _Product(self._matrix(linear.weight.t()), linear.bias)

    def _unary(self, unary: nn.Module) -> _Product | None:
        return self._product(unary.linear) if isinstance(unary, Unary) else None

    def _block(self, block: nn.Module) -> _Block:
        assert isinstance(block, SimpleBlock | ResidualBlock)
        convolution = self._convolution(block.conv)
        if isinstance(block, SimpleBlock):
            return _Block(False, None, convolution, None, None)
        expand, shortcut = self._product(block.expand.linear), self._unary(block.shortcut)
        if shortcut is not None and shortcut.bias is not None and expand.bias is not None:
            expand = expand._replace(bias=expand.bias + shortcut.bias)
        return _Block(block.strided, self._unary(block.reduce), convolution, expand, shortcut)

    def _convolution(self, conv: KPConv | DeformableKPConv) -> _Convolution:
        product = _Product(self._matrix(conv.weights.flatten(0, 1)), conv.bias)
        offsets = None
        if isinstance(conv, DeformableKPConv):
            offsets = _Product(self._matrix(conv.offsets.weights.flatten(0, 1)), conv.offset_bias)
        return _Convolution(conv.kernel_points[None].float().contiguous(), conv.sigma, product, offsets)

    def _join(self, unary: nn.Module, coarse_width: int) -> tuple[_Product, _Product]:
        """Split a decoder's matrix into that of the skip link, which has the bias, and that of the coarse features."""
        assert isinstance(unary, Unary)
        of_coarse, of_skip = unary.linear.weight.split([coarse_width, unary.linear.in_features - coarse_width], 1)
        return _Product(self._matrix(of_skip.t()), unary.linear.bias), _Product(self._matrix(of_coarse.t()), None)

    def _coarse_widths(self, network: KPFCNN) -> list[int]:
        outs = [unary.linear.out_features for unary in network.decoder if isinstance(unary, Unary)]
        return [network.encoder.widths[-1], *outs][: len(outs)]
