# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which implementation works on a tensor: the Triton kernels of ``kernels.gpu``, or that of the CPU or plain torch.

Triton comes with CUDA builds of torch and is imported only when a tensor needs it.
"""

import os
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

OLDEST = (8, 0)  # compute capability from which Triton multiplies bfloat16
FAST = (torch.float32, torch.float16, torch.bfloat16)


def is_interpreting() -> bool:
    """Return whether Triton's kernels run in its interpreter, on tensors of the CPU: ``TRITON_INTERPRET=1``."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@lru_cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


@lru_cache
def _is_new_enough(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= OLDEST


def takes_triton(tensor: Tensor) -> bool:
    """Return whether the kernels of ``kernels.gpu`` are to work on a tensor of floating-point numbers.

    They are where it is on a CUDA device of compute capability 8.0 or more and Triton is there, and under its
    interpreter. Numbers of float64 are for tests and go the way of plain torch.
    """
    if tensor.dtype not in FAST or not (tensor.is_cuda or is_interpreting()) or not _has_triton():
        return False
    return is_interpreting() or _is_new_enough(tensor.device)


def autocast_dtype(tensor: Tensor) -> torch.dtype:
    """Return the type in which ``torch.autocast`` wants products with the tensor, its own type outside of it."""
    kind = tensor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensor.dtype
