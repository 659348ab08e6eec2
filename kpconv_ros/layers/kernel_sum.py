# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sum over neighbours and kernel points of Eqs. (1) and (2), from the non-zero influences alone."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from kpconv_ros.kernels import kpconv as kernel
from kpconv_ros.kernels.choice import autocast_dtype, takes_triton
from kpconv_ros.kernels.threads import run_over_rows, split_rows
from kpconv_ros.layers.low_precision import listed_rows, low_precision_of, pad_rows
from kpconv_ros.layers.neighborhood import Influences, Neighborhood

CHUNK_BYTES = 8 << 20  # gathered features held at once: small enough to stay in the cache, large enough for a GEMM


def is_fused(features: Tensor, neighborhood: Neighborhood) -> bool:
    """Return whether :func:`fused_kernel_sum` can and should do the work."""
    return all(takes_triton(t) for t in (features, neighborhood.queries, neighborhood.supports))


def fused_kernel_sum(
    features: Tensor, weights: Tensor, neighborhood: Neighborhood, kernel_points: Tensor, sigma: float
) -> Tensor:
    """Do as :func:`kernel_sum` in one pass on a GPU: no influence is ever kept.

    Args:
        features: Features of the supports, ``(N, Cin)``.
        weights: Kernel weights W, ``(K, Cin, Cout)``.
        neighborhood: M queries with their neighbours.
        kernel_points: ``(1, K, 3)``, or deformed ones ``(M, K, 3)``, which may carry a gradient; metres.
        sigma: Influence distance, metres.

    Returns:
        ``(M, Cout)``, in the type that ``torch.autocast`` wants.
    """
    from kpconv_ros.kernels.gpu import kernel_sum as fused

    dtype = autocast_dtype(features)
    places = (neighborhood.queries.float().contiguous(), neighborhood.supports.float().contiguous())
    pairs = fused.Pairs(*places, fused.row_lists(*neighborhood.lists))
    return fused.kernel_sum(features.to(dtype), weights.to(dtype), pairs, kernel_points, sigma)


def kernel_sum(features: Tensor, weights: Tensor, influences: Influences, strengths: Tensor | None = None) -> Tensor:
    """Compute sum_i sum_k h_ik W_k f_i for every query, Eqs. (1) and (2).

    Args:
        features: Features of the supports, ``(N, Cin)``.
        weights: Kernel weights W, ``(K, Cin, Cout)``.
        influences: Which neighbour is seen by which kernel point of which query.
        strengths: h of each entry ``(E,)`` where it carries a gradient (deformable); else that of ``influences``.

    Returns:
        ``(M, Cout)``. Under ``torch.autocast`` the matrix products run in its lower precision.
    """
    chosen = influences.weights if strengths is None else strengths
    if features.device.type != "cpu" or features.dtype == torch.float64:
        return _kernel_sum_sparse(features, weights, influences, chosen)
    low = low_precision_of(features)
    result: Tensor = _CompiledKernelSum.apply(features.float(), weights, chosen, influences, low)
    return result


def _kernel_sum_sparse(features: Tensor, weights: Tensor, influences: Influences, strengths: Tensor) -> Tensor:
    """The same by plain differentiable torch, on any device and in any precision."""
    num_kernels, num_queries = len(weights), len(influences.starts) - 1
    rows = influences.queries() * num_kernels + influences.kernels.long()
    seen = strengths[:, None].to(features.dtype) * features[influences.columns.long()]  # (E, Cin)
    gathered = features.new_zeros(num_queries * num_kernels, features.shape[1]).index_add(0, rows, seen)
    return gathered.view(num_queries, -1) @ weights.to(features.dtype).flatten(0, 1)


class _CompiledKernelSum(Function):
    """Gathers a chunk of queries, multiplies it at once and forgets it: (M, K, Cin) never exists as a whole."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weights: Tensor,
        strengths: Tensor,
        influences: Influences,
        low_precision: torch.dtype | None,
    ) -> Tensor:
        ctx.save_for_backward(features, weights, strengths)
        ctx.influences, ctx.low_precision = influences, low_precision
        matrix = _lowered(weights.detach().flatten(0, 1), low_precision)  # (K Cin, Cout)
        entries, array = _arrays(influences, strengths), features.detach().contiguous().numpy()
        out = features.new_empty(len(influences.starts) - 1, weights.shape[2])
        for first, last, gathered in _gathered_chunks(entries, array, len(weights), low_precision):
            if low_precision is None:
                torch.mm(gathered, matrix, out=out[first:last])
            else:
                out[first:last] = (gathered @ matrix)[: last - first]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weights, strengths = ctx.saved_tensors
        low = ctx.low_precision
        wants_features, wants_weights, wants_strengths = ctx.needs_input_grad[:3]
        gradient = gradient.contiguous()
        matrix = _lowered(weights.detach().flatten(0, 1).t(), low)  # (Cout, K Cin)
        array = features.detach().contiguous().numpy()
        entries = _arrays(ctx.influences, strengths)
        by_weights = torch.zeros_like(weights.detach().flatten(0, 1))
        by_features = np.zeros((torch.get_num_threads(), *array.shape), np.float32) if wants_features else None
        by_strengths = torch.zeros_like(strengths) if wants_strengths else None
        for first, last, gathered in _gathered_chunks(entries, array, len(weights), low):
            piece = gradient[first:last] if low is None else pad_rows(gradient[first:last], low)
            if wants_weights:
                by_weights += gathered.t() @ piece
            if by_features is None and by_strengths is None:
                continue
            by_gathered = torch.mm(piece, matrix)  # (m, K Cin)
            if by_features is not None:
                _scatter(first, last, entries, by_gathered, by_features)
            if by_strengths is not None:
                of_chunk = by_gathered.float().numpy()
                kernel.influence_gradient(first, last, *entries[:3], of_chunk, array, by_strengths.numpy())
        return (
            None if by_features is None else torch.from_numpy(by_features).sum(0),
            by_weights.view_as(weights) if wants_weights else None,
            by_strengths,
            None,
            None,
        )


def _lowered(matrix: Tensor, dtype: torch.dtype | None) -> Tensor:
    return matrix.contiguous() if dtype is None else matrix.to(dtype)


def _arrays(influences: Influences, strengths: Tensor) -> kernel.Entries:
    parts = (influences.starts, influences.kernels, influences.columns, strengths.detach())
    return kernel.Entries(*(part.numpy() for part in parts))


def _gathered_chunks(  # type: ignore[no-untyped-def]
    entries: kernel.Entries, features: NDArray[np.float32], num_kernels: int, low_precision: torch.dtype | None
):
    """Yield ``(first, last, gathered)`` over all queries, in a buffer that is used again.

    ``gathered`` is ``(last - first, K Cin)``; in low precision rows of zeros follow, up to a size that recurs.
    """
    width, num_queries = num_kernels * features.shape[1], len(entries.starts) - 1
    step = max(256, CHUNK_BYTES // (4 * width))
    if low_precision is not None:
        step = listed_rows(step)
    kind = torch.float32 if low_precision is None else low_precision
    buffer = torch.empty(min(step, listed_rows(num_queries)), width, dtype=kind)
    gather_rows = kernel.gather_weighted_bf16 if kind == torch.bfloat16 else kernel.gather_weighted
    bits = _bits(buffer)
    for first in range(0, num_queries, step):
        last = min(first + step, num_queries)

        def gather(begin: int, end: int, first: int = first) -> None:
            gather_rows(first + begin, first + end, *entries, features, bits[begin:end])

        run_over_rows(gather, last - first)
        if low_precision is None:
            yield first, last, buffer[: last - first]
        else:
            num_rows = listed_rows(last - first)
            buffer[last - first : num_rows] = 0
            yield first, last, buffer[:num_rows]


def _bits(matrix: Tensor) -> NDArray[np.generic]:
    """Return a matrix as the kernels take it: bfloat16, which NumPy lacks, as uint16."""
    bits: NDArray[np.generic] = (matrix.view(torch.uint16) if matrix.dtype == torch.bfloat16 else matrix).numpy()
    return bits


def _scatter(first: int, last: int, entries: kernel.Entries, gradient: Tensor, out: NDArray[np.float32]) -> None:
    """Add the gradient of a chunk to ``out (T, N, Cin)``, each thread to its own part."""
    part_of_begin = {begin: part for part, (begin, _) in enumerate(split_rows(last - first))}
    scatter_rows = kernel.scatter_weighted_bf16 if gradient.dtype == torch.bfloat16 else kernel.scatter_weighted
    bits = _bits(gradient)

    def scatter(begin: int, end: int) -> None:
        scatter_rows(first + begin, first + end, *entries, bits[begin:end], out[part_of_begin[begin]])

    run_over_rows(scatter, last - first)
