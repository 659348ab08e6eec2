# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A KP-FCNN on a GPU for inference: a CUDA graph for each of a few sizes, from positions to logits.

A batch is filled up to the next size of a list, so that sizes recur, and all kernels of pyramid and network are
launched at once. The room of the levels is what earlier batches needed and a bit more; where a batch needs more than
that, it is seen in what comes back, and the batch runs once more with more room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kpconv_ros.kernels.gpu.cells import Frame, frame_of
from kpconv_ros.kernels.gpu.neighbors import MOST
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.networks.static_kpfcnn import StaticKPFCNN
from kpconv_ros.networks.static_pyramid import Room

FEWEST_POINTS = 1024
FIRST_NEIGHBORS = 48  # room of a neighbourhood where the network has no limit
SPARE = 1.25  # room over what was needed
GRAPHS_KEPT = 6  # each holds the memory of its run; the batches of one scan have a few sizes
WARM_UPS = 2  # runs before a graph is captured: Triton compiles, cuBLAS makes its workspace

Static = Callable[[Tensor, Tensor, Tensor, Frame, Room], "tuple[Tensor, Tensor]"]


def listed_size(num_points: int) -> int:
    """Round a number of points up to the next of 4 sizes an octave."""
    step = max(FEWEST_POINTS, 1 << max(num_points.bit_length() - 3, 0))
    return -(-num_points // step) * step


class _Graph:
    """A captured run and the tensors that it reads and writes; on the CPU, in Triton's interpreter, a plain call."""

    def __init__(self, network: Static, inputs: tuple[Tensor, Tensor, Tensor, Frame], room: Room) -> None:
        self.inputs = inputs
        self._network, self._room = network, room
        self._graph: torch.cuda.CUDAGraph | None = None
        if not inputs[0].is_cuda:
            return
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self._call()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = self._call()

    def _call(self) -> tuple[Tensor, Tensor]:
        return self._network(*self.inputs, self._room)

    def run(self) -> tuple[Tensor, Tensor]:
        """Return logits and needs; the next run overwrites them."""
        if self._graph is None:
            return self._call()
        self._graph.replay()
        return self._outputs


class CapturedNetwork:
    """Does what a KP-FCNN does in evaluation, ``(points, lengths, features)`` to logits."""

    def __init__(self, network: KPFCNN, dtype: torch.dtype) -> None:
        """Take a copy of the weights.

        Args:
            network: On a CUDA device.
            dtype: Type of the matrix products.
        """
        self._plain, self.config = network, network.config
        self._network = StaticKPFCNN(network, dtype)
        levels = self.config.num_levels
        limits = self.config.max_neighbors
        self._shares = tuple(0.5**j for j in range(levels))  # surfaces need about 0.25**j
        self._neighbors = limits or levels * (FIRST_NEIGHBORS,)
        self._pooled = limits[:-1] or (levels - 1) * (FIRST_NEIGHBORS,)
        self._graphs: OrderedDict[Any, _Graph] = OrderedDict()

    @torch.inference_mode()
    def __call__(self, points: Tensor, lengths: Tensor, features: Tensor) -> Tensor:
        """Classify every point of a packed batch, see :class:`.KPFCNN`; the logits are float32."""
        num_points = len(points)
        if not num_points:
            return features.new_zeros(0, self.config.num_classes)
        clouds = torch.repeat_interleave(
            torch.arange(len(lengths), device=lengths.device), lengths, output_size=num_points
        )
        frame = frame_of(points, clouds, len(lengths))
        while max(*self._neighbors, *self._pooled, 1) <= MOST:
            room = self._room(listed_size(num_points))
            held, needs = self._run(points, clouds, features, frame, room)
            needed = tuple(needs.tolist())
            if room.is_enough(needed, bool(self.config.max_neighbors)):
                return held[:num_points].clone()
            self._grow(needed, num_points)
        logits: Tensor = self._plain(points, lengths, features)
        return logits

    def free(self) -> None:
        """Give the memory of all graphs back."""
        self._graphs.clear()

    def _room(self, num_points: int) -> Room:
        sizes = (listed_size(int(share * num_points)) for share in self._shares[1:])
        return Room((num_points, *(min(size, num_points) for size in sizes)), self._neighbors, self._pooled)

    def _run(self, points: Tensor, clouds: Tensor, features: Tensor, frame: Frame, room: Room) -> tuple[Tensor, Tensor]:
        key = (room, len(frame.low))
        graph = self._graphs.pop(key, None)
        if graph is None:
            while len(self._graphs) >= GRAPHS_KEPT:
                self._graphs.popitem(last=False)
            graph = _Graph(self._network, self._make_inputs(points, features, frame, room.points[0]), room)
        self._graphs[key] = graph
        held_points, held_clouds, held_features, held_frame = graph.inputs
        held_points[: len(points)].copy_(points)
        held_clouds.fill_(len(frame.low))
        held_clouds[: len(points)].copy_(clouds)
        held_features[: len(points)].copy_(features)
        held_frame.low.copy_(frame.low)
        held_frame.extent.copy_(frame.extent)
        return graph.run()

    def _make_inputs(
        self, points: Tensor, features: Tensor, frame: Frame, size: int
    ) -> tuple[Tensor, Tensor, Tensor, Frame]:
        """Return inputs without a point, to be filled."""
        return (
            points.new_zeros(size, 3, dtype=torch.float32),
            torch.full((size,), len(frame.low), dtype=torch.int64, device=points.device),
            features.new_zeros(size, features.shape[1]),
            Frame(torch.zeros_like(frame.low), torch.zeros_like(frame.extent)),
        )

    def _grow(self, needed: tuple[int, ...], num_points: int) -> None:
        """Take what a batch needed and a bit more as room from now on."""
        levels = len(self._shares)
        shares = (min(1.0, SPARE * need / num_points) for need in needed[:levels])
        self._shares = tuple(max(pair) for pair in zip(self._shares, shares, strict=True))
        if self.config.max_neighbors:
            return
        sizes = [-(-int(SPARE * need) // 16) * 16 for need in needed[levels:]]
        self._neighbors = tuple(max(pair) for pair in zip(self._neighbors, sizes[:levels], strict=True))
        self._pooled = tuple(max(pair) for pair in zip(self._pooled, sizes[levels:], strict=True))
