# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numba's ``njit``, or a stand-in on a machine without Numba, where all tensors are on a GPU.

There the networks and their layers still import; what would have been compiled says what it lacks when it is called.
"""

from collections.abc import Callable
from typing import Any, NoReturn

try:
    from numba import njit
except ImportError:

    def njit(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., NoReturn]]:
        """Stand in for Numba's decorator."""

        def decorate(function: Callable[..., Any]) -> Callable[..., NoReturn]:
            def refuse(*args: Any, **kwargs: Any) -> NoReturn:
                raise ImportError(f"{function.__name__}: expected Numba, which tensors on the CPU need, got none")

            return refuse

        return decorate


__all__ = ["njit"]
