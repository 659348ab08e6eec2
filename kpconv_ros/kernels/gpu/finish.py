# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands behind a matrix product in a network with folded batch norms, in one pass on a CUDA device.

Bias of the batch norm, shortcut or upsampled features, leaky ReLU: read once, written once. For inference alone.
"""

import triton
import triton.language as tl
from torch import Tensor

BLOCK_CHANNELS = 64
BLOCK_ROWS = 16


@triton.jit
def _finish(  # type: ignore[no-untyped-def]
    out, bias, other, rows, num_rows, channels, slope,
    HAS_BIAS: tl.constexpr, HAS_OTHER: tl.constexpr, HAS_ROWS: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = (row < num_rows)[:, None] & (c < channels)[None, :]
    place = row[:, None] * channels + c[None, :]
    value = tl.load(out + place, mask=inside, other=0.0).to(tl.float32)
    if HAS_BIAS:
        value += tl.load(bias + c, mask=c < channels, other=0.0).to(tl.float32)[None, :]
    if HAS_OTHER:
        source = row
        if HAS_ROWS:
            source = tl.load(rows + row, mask=row < num_rows, other=0).to(tl.int64)
        value += tl.load(other + source[:, None] * channels + c[None, :], mask=inside, other=0.0).to(tl.float32)
    value = tl.where(value > 0, value, value * slope)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=inside)


def finish_(
    out: Tensor, bias: Tensor | None, slope: float, other: Tensor | None = None, rows: Tensor | None = None
) -> Tensor:
    """Replace ``out`` by leaky_relu(out + bias + other[rows]) and return it; sums are float32.

    Args:
        out: ``(N, C)``, contiguous.
        bias: ``(C,)`` or None.
        slope: Of the leaky ReLU below zero; 1 leaves values as they are.
        other: ``(M, C)``, contiguous: the shortcut of a residual block, or the features of the coarser level.
        rows: Row of ``other`` for each row, ``(N,)`` int32 or int64; None is the same row.

    Raises:
        ValueError: If the shapes do not fit.
    """
    if other is not None and (other.shape[1] != out.shape[1] or (rows is None and len(other) != len(out))):
        raise ValueError(f"other: expected {tuple(out.shape)}, or more rows to choose from, got {tuple(other.shape)}")
    if out.numel():
        grid = triton.cdiv(len(out), BLOCK_ROWS), triton.cdiv(out.shape[1], BLOCK_CHANNELS)
        _finish[grid](
            out, out if bias is None else bias, out if other is None else other, out if rows is None else rows,
            len(out), out.shape[1], slope,
            HAS_BIAS=bias is not None, HAS_OTHER=other is not None, HAS_ROWS=rows is not None,
            BLOCK_N=BLOCK_ROWS, BLOCK_C=BLOCK_CHANNELS,
        )  # fmt: skip
    return out
