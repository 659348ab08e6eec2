# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers out of the raw bytes of points, on the device that holds the bytes; plain torch, which waits for nothing."""

import numpy as np
import torch
from torch import Tensor

SIGNED = {1: torch.int8, 2: torch.int16, 4: torch.int32}
FLOATS = {4: torch.float32, 8: torch.float64}


def read_field(rows: Tensor, dtype: np.dtype[np.generic], offset: int) -> Tensor:
    """Read one field of every point.

    Args:
        rows: Bytes of the points, ``(N, point_step)`` uint8.
        dtype: Of the field, of either byte order.
        offset: Its first byte; it need not be aligned.

    Returns:
        ``(N,)`` float32, rounded as NumPy does.
    """
    own = rows[:, offset : offset + dtype.itemsize]
    own = (own if dtype.isnative else own.flip(1)).contiguous()
    if dtype.kind == "f":
        return own.view(FLOATS[dtype.itemsize])[:, 0].float()
    bits = own.view(SIGNED[dtype.itemsize])[:, 0]
    if dtype.kind == "u":  # torch computes little with unsigned numbers
        return (bits.long() & ((1 << 8 * dtype.itemsize) - 1)).float()
    return bits.float()
