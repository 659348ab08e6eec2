# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KP-FCNN and KP-CNN as functions of tensors alone, which exporters can trace: the pyramid comes in padded.

Neighbour search and subsampling stay outside. What goes in, in this order, for L levels (:func:`input_names`):

- ``features (N_0, F)``;
- for each level j ``points_j (N_j, 3)`` metres and ``neighbors_j (N_j, H_j)`` int64, rows of ``points_j``, filled
  with N_j, the shadow neighbour;
- for each level but the last ``pooling_j (N_{j+1}, P_j)`` int64, rows of ``points_j`` around each point of the next
  level, filled with N_j;
- KP-FCNN: for each level but the last ``upsampling_j (N_j,)`` int64, the nearest row of ``points_{j+1}``;
- KP-CNN: ``lengths (B,)`` int64, points of each cloud in the last level.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpconv_ros.layers.blocks import SLOPE, ResidualBlock, SimpleBlock, Unary, fold_batch_norms
from kpconv_ros.layers.kpconv import DeformableKPConv, KPConv
from kpconv_ros.layers.padded import PaddedNeighborhood, padded_influences, padded_kpconv, padded_max_pool
from kpconv_ros.networks.encoder import NetworkError
from kpconv_ros.networks.kpcnn import KPCNN
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.networks.pyramid import Level


def input_names(num_levels: int, classifies_clouds: bool) -> tuple[str, ...]:
    """Return the names of the inputs in order; a KP-CNN classifies clouds, a KP-FCNN points."""
    levels, steps = range(num_levels), range(num_levels - 1)
    ends = ("lengths",) if classifies_clouds else tuple(f"upsampling_{j}" for j in steps)
    of_levels = [name for j in levels for name in (f"points_{j}", f"neighbors_{j}")]
    return ("features", *of_levels, *(f"pooling_{j}" for j in steps), *ends)


def pad_pyramid(levels: list[Level], features: Tensor, classifies_clouds: bool) -> dict[str, Tensor]:
    """Lay a pyramid out as the inputs of a :class:`PaddedNetwork`, by name and in order."""
    inputs = {"features": features}
    for j, level in enumerate(levels):
        inputs[f"points_{j}"] = level.points
        inputs[f"neighbors_{j}"] = level.neighborhood.lists.padded(len(level.points))
        if level.pooling is not None and level.coarse_of_fine is not None:
            inputs[f"pooling_{j}"] = level.pooling.lists.padded(len(level.points))
            inputs[f"upsampling_{j}"] = level.coarse_of_fine
    inputs["lengths"] = levels[-1].lengths
    return {name: inputs[name] for name in input_names(len(levels), classifies_clouds)}


class PaddedNetwork(nn.Module):
    """The same function in evaluation as the network that it is given, in plain operations on padded neighbourhoods.

    Rows of an input that belong to several clouds may be packed, as indices never point from one cloud to another.
    """

    def __init__(self, network: KPFCNN | KPCNN) -> None:
        """Take a copy of the network's weights, batch norms folded."""
        super().__init__()
        self.network = copy.deepcopy(network).eval().cpu()
        fold_batch_norms(self.network)
        self.network.requires_grad_(False)
        self.num_levels = network.config.num_levels
        self.input_names = input_names(self.num_levels, isinstance(network, KPCNN))
        convs = [_conv_of(block) for block in self.network.encoder]
        self._kinds = [_kind(conv, convs) for conv in convs]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the logits of the inputs of :attr:`input_names`: ``(N_0, num_classes)``, KP-CNN ``(B, ...)``.

        Raises:
            NetworkError: If there are not as many inputs as names.
        """
        if len(inputs) != len(self.input_names):
            raise NetworkError(f"expected the inputs {', '.join(self.input_names)}, got {len(inputs)} tensors")
        by_name = dict(zip(self.input_names, inputs, strict=True))
        ends = self._encode(by_name)
        network = self.network
        if isinstance(network, KPCNN):
            means = _means(ends[-1], by_name["lengths"])
            return _tensor(network.classifier(functional.leaky_relu(network.head(means), SLOPE)))
        features = ends[-1]
        for unary, j in zip(network.decoder, reversed(range(self.num_levels - 1)), strict=True):
            assert isinstance(unary, Unary)
            features = unary.upsample_and_join(features, by_name[f"upsampling_{j}"], ends[j])
        return _tensor(network.classifier(functional.leaky_relu(network.head(features), SLOPE)))

    def _encode(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        """Return the features of each level at the encoder's end, finest first."""
        level, features, ends = 0, inputs["features"], []
        points = [inputs[f"points_{j}"] for j in range(self.num_levels)]
        known: dict[tuple[str, int], Tensor] = {}
        for kind, name, block in zip(self._kinds, self.network.encoder.names, self.network.encoder, strict=True):
            supports, lists = points[level], f"neighbors_{level}"
            if name.endswith("strided"):
                lists = f"pooling_{level}"
                ends.append(features)
                level += 1
            hood = PaddedNeighborhood(points[level], supports, inputs[lists])
            if (lists, kind) not in known:
                conv = _conv_of(block)
                known[lists, kind] = padded_influences(hood, conv.kernel_points[None], conv.sigma)
            features = _run_block(block, features, hood, known[lists, kind])
        return [*ends, features]


def _run_block(block: nn.Module, features: Tensor, hood: PaddedNeighborhood, influences: Tensor) -> Tensor:
    if isinstance(block, SimpleBlock):
        return functional.leaky_relu(block.norm(padded_kpconv(block.conv, features, hood, influences)), SLOPE)
    assert isinstance(block, ResidualBlock)
    out = padded_kpconv(block.conv, block.reduce(features), hood, influences)
    out = block.expand(functional.leaky_relu(block.norm(out), SLOPE))
    if block.strided:
        features = padded_max_pool(features, hood.neighbors, block.shadow_pooling)
    return functional.leaky_relu(out + block.shortcut(features), SLOPE)


def _conv_of(block: nn.Module) -> KPConv | DeformableKPConv:
    assert isinstance(block, SimpleBlock | ResidualBlock)
    return block.conv


def _kind(conv: KPConv | DeformableKPConv, convs: list[KPConv | DeformableKPConv]) -> int:
    """Return the first of the layers that has the same kernel points and sigma, and so the same influences."""
    same = (other.sigma == conv.sigma and other.kernel_points.equal(conv.kernel_points) for other in convs)
    return next(i for i, is_same in enumerate(same) if is_same)


def _means(features: Tensor, lengths: Tensor) -> Tensor:
    """Average packed features ``(N, C)`` over each of B clouds, ``(B, C)``, as a product of matrices."""
    ends = lengths.cumsum(0)
    rows = torch.arange(features.shape[0])[None]
    inside = (rows >= (ends - lengths)[:, None]) & (rows < ends[:, None])  # (B, N)
    return inside.to(features.dtype) @ features / lengths[:, None]


def _tensor(result: object) -> Tensor:
    assert isinstance(result, Tensor)
    return result
