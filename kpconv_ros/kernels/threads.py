# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a kernel shared among threads.

The compiled kernels release the GIL and take a range of rows, so plain Python threads run them side by side. A pool of
Python threads sleeps when idle; Numba's own pool next to torch's OpenMP pool would spin and slow both down.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

T = TypeVar("T")
MIN_ROWS = 1024  # below this a second thread costs more than it brings


@lru_cache(maxsize=1)
def _executor(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix="kpconv")


def split_rows(num_rows: int) -> list[tuple[int, int]]:
    """Return one range of rows for each thread torch is allowed to use, fewer for few rows."""
    parts = max(1, min(torch.get_num_threads(), num_rows // MIN_ROWS))
    bounds = [num_rows * i // parts for i in range(parts + 1)]
    return list(zip(bounds[:-1], bounds[1:], strict=True))


def run_over_rows(kernel: Callable[[int, int], T], num_rows: int) -> list[T]:
    """Call ``kernel(first, last)`` on ranges that cover all rows, in parallel; return the results in order."""
    ranges = split_rows(num_rows)
    if len(ranges) == 1:
        return [kernel(*ranges[0])]
    pool = _executor(torch.get_num_threads() - 1)
    others = [pool.submit(kernel, first, last) for first, last in ranges[1:]]
    return [kernel(*ranges[0])] + [other.result() for other in others]
