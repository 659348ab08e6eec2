# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matrix products in bfloat16 on the CPU, with row counts from a short list.

oneDNN compiles a program for each new shape of a bfloat16 product, which takes as long as many of the products here,
and a sphere has another number of points every time. Rows of zeros up to the next size of the list make shapes recur.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional


def has_bfloat16(device: torch.device) -> bool:
    """Return whether matrix products in bfloat16 are faster than in float32 on ``device``."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and bool(supported())


def low_precision_of(tensor: Tensor) -> torch.dtype | None:
    """Return bfloat16 if the tensor is on a CPU and ``torch.autocast`` wants its products so; else None."""
    if tensor.device.type != "cpu" or tensor.dtype == torch.float64 or not torch.is_autocast_enabled("cpu"):
        return None
    return torch.bfloat16 if torch.get_autocast_dtype("cpu") == torch.bfloat16 else None


def listed_rows(num_rows: int) -> int:
    """Round a number of rows up to the next of 8 sizes an octave, or of multiples of 16."""
    step = max(16, 1 << max(num_rows.bit_length() - 4, 0))
    return -(-num_rows // step) * step


def pad_rows(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Copy ``(N, C)`` to ``dtype`` with rows of zeros up to :func:`listed_rows`."""
    padded = torch.empty(listed_rows(len(matrix)), matrix.shape[1], dtype=dtype)
    padded[: len(matrix)] = matrix
    padded[len(matrix) :] = 0
    return padded


def linear(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Do as :func:`torch.nn.functional.linear` for ``features (N, Cin)``, fast for an N that always differs."""
    low = low_precision_of(features)
    if low is None:
        return functional.linear(features, weight, bias)
    out: Tensor = _PaddedLinear.apply(features, weight, bias, low)
    return out


class Linear(nn.Linear):
    """A linear layer on ``(N, Cin)`` by :func:`linear`."""

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(N, Cin)`` to ``(N, Cout)``."""
        return linear(features, self.weight, self.bias)


class _PaddedLinear(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, low: torch.dtype) -> Tensor:
        padded, matrix = pad_rows(features.detach(), low), weight.detach().to(low)
        ctx.save_for_backward(padded, matrix)
        ctx.types = features.dtype, weight.dtype, None if bias is None else bias.dtype
        out = padded @ matrix.t() if bias is None else torch.addmm(bias.detach().to(low), padded, matrix.t())
        return out.resize_(len(features), len(weight))  # drops the padding without a copy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        padded, matrix = ctx.saved_tensors
        of_features, of_weight, of_bias = ctx.types
        wants_features, wants_weight, wants_bias, _ = ctx.needs_input_grad
        padded_gradient = pad_rows(gradient, matrix.dtype)
        return (
            (padded_gradient @ matrix)[: len(gradient)].to(of_features) if wants_features else None,
            (padded_gradient.t() @ padded).to(of_weight) if wants_weight else None,
            gradient.float().sum(0).to(of_bias) if wants_bias else None,
            None,
        )
