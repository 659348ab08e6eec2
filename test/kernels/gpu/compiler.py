# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compile Triton kernels for a GPU that is not there: down to the machine code, without running it.

Called with tensors of the CPU, a kernel is compiled for their types and for the sizes that its caller chose, and
leaves its outputs as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver


class _Absent:
    """What Triton asks of a driver before it compiles."""

    def __init__(self, capability: int) -> None:
        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int = 0) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


@contextmanager
def compiling(capability: int) -> Iterator[dict[str, Any]]:
    """Make every launch a compilation for a compute capability, such as 90; gives the kernels by name, last form.

    The driver that is not there stays: this is for a process of its own.
    """
    compiled: dict[str, Any] = {}
    run = triton.JITFunction.run

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> Any:
        kernel = run(self, *args, grid=grid, warmup=True, **kwargs)
        compiled[kernel.metadata.name] = kernel
        return kernel

    driver.set_active(_Absent(capability))
    triton.JITFunction.run = compile_only
    try:
        yield compiled
    finally:
        triton.JITFunction.run = run
