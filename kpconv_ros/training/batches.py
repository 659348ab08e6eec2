# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of training spheres, and a loader that makes batches in the background."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from kpconv_ros.training.spheres import Sphere, SphereCutter

BatchT = TypeVar("BatchT")
AHEAD = 2  # batches made while one is trained on


class Batch(NamedTuple):
    """Spheres, packed."""

    points: Tensor
    """``(N, 3)``, metres, each sphere around its own centre."""
    lengths: Tensor
    """``(B,)`` int64."""
    features: Tensor
    """``(N, F)``."""
    labels: Tensor
    """``(N,)`` int64, -1 does not count."""


def make_batch(cutter: SphereCutter, batch_points: int, seed: int, step: int) -> Batch:
    """Cut spheres until there are ``batch_points`` voxels; the same for the same seed and step."""
    generator = np.random.default_rng([seed, step % (1 << 32)])
    spheres: list[Sphere] = []
    while sum(len(sphere.points) for sphere in spheres) < batch_points:
        spheres.append(cutter.cut(generator))
    points, features, labels = (torch.cat(parts) for parts in zip(*spheres, strict=True))
    return Batch(points, torch.tensor([len(sphere.points) for sphere in spheres]), features, labels)


class BatchLoader(Generic[BatchT]):
    """Iterates over the batches of some steps and makes the next ones meanwhile, in a thread."""

    def __init__(self, make: Callable[[int], BatchT], steps: Sequence[int]) -> None:
        """Prepare; no batch is made before the iteration starts.

        Args:
            make: Makes the batch of a step.
            steps: In order.
        """
        self.make, self.steps = make, steps
        # OpenMP keeps the number of threads for each thread: without this the pool's would take all cores.
        threads = (torch.get_num_threads(),)
        self._pool = ThreadPoolExecutor(1, "batches", initializer=torch.set_num_threads, initargs=threads)

    def __enter__(self) -> "BatchLoader[BatchT]":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):  # type: ignore[no-untyped-def]
        """Stop the thread."""
        self._pool.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[BatchT]:
        """Yield the batches in order."""
        waiting: deque[Future[BatchT]] = deque()
        for done in range(len(self.steps)):
            for step in self.steps[done + len(waiting) : done + AHEAD]:
                waiting.append(self._pool.submit(self.make, step))
            yield waiting.popleft().result()
