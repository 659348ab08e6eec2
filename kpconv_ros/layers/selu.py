# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scaled exponential linear units (Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017), in place."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from kpconv_ros.kernels import selu as kernel
from kpconv_ros.kernels.threads import run_over_rows


def selu(features: Tensor) -> Tensor:
    """Replace features of any shape by their SELU and return them; compiled for contiguous float32 on the CPU."""
    if features.device.type != "cpu" or features.dtype != torch.float32 or not features.is_contiguous():
        return functional.selu(features, inplace=True)
    if torch.is_grad_enabled() and features.requires_grad:
        out: Tensor = _Selu.apply(features)
        return out
    return _replace(features)


def _replace(features: Tensor) -> Tensor:
    values = features.detach().view(-1).numpy()
    run_over_rows(lambda first, last: kernel.selu_in_place(values[first:last]), len(values))
    return features


class _Selu(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.mark_dirty(_replace(features))
        ctx.save_for_backward(features)
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (outputs,) = ctx.saved_tensors
        result = torch.empty_like(outputs)
        arrays = [tensor.detach().reshape(-1).numpy() for tensor in (gradient, outputs, result)]
        run_over_rows(lambda first, last: kernel.selu_gradient(*(a[first:last] for a in arrays)), len(arrays[0]))
        return result
