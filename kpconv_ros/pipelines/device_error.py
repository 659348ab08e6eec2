# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors after which nothing more can be computed on a GPU: it was reset, fell off the bus, or a kernel broke it."""

LOST = ("CUDA error", "CUDA driver error", "Triton Error [CUDA]", "CUBLAS_STATUS", "CUDNN_STATUS", "HIP error")
SMALL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory")


def is_device_lost(error: BaseException) -> bool:
    """Return whether an error says that the device cannot be used any more; being out of memory does not.

    CUDA tells each later call of the process the same error again, so only a new process gets the GPU back; the CPU can
    be used at once.
    """
    text = str(error)
    is_one = isinstance(error, RuntimeError) and any(name in text for name in LOST)
    return is_one and not any(name in text for name in SMALL)
