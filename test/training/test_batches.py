# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of spheres."""

from functools import partial

import numpy as np
import pytest
import torch

from kpconv_ros.data.clips import Clip
from kpconv_ros.training.batches import Batch, BatchLoader, make_batch
from kpconv_ros.training.spheres import AugmentationConfig, SphereCutter


@pytest.fixture
def cutter(clip: Clip) -> SphereCutter:
    return SphereCutter([clip], 5, 0.3, 2.0, ("one",), 1000, AugmentationConfig())


def equal(one: Batch, other: Batch) -> bool:
    return all(a.equal(b) for a, b in zip(one, other, strict=True))


def test_a_batch_has_enough_points_and_no_more_spheres_than_needed(cutter: SphereCutter) -> None:
    batch = make_batch(cutter, 500, 0, 0)
    counts = batch.lengths.tolist()
    assert sum(counts) == len(batch.points) == len(batch.features) == len(batch.labels)
    assert sum(counts) >= 500 > sum(counts[:-1])


def test_a_batch_depends_on_seed_and_step_alone(cutter: SphereCutter) -> None:
    batch = make_batch(cutter, 200, 7, 3)
    assert equal(batch, make_batch(cutter, 200, 7, 3))
    assert not any(np.array_equal(batch.points, make_batch(cutter, 200, *other).points) for other in ((7, 4), (8, 3)))


@pytest.mark.parametrize(("first", "last"), [(0, 5), (3, 5), (4, 5), (0, 1), (5, 5)])
def test_the_loader_yields_every_step_once_and_in_order(cutter: SphereCutter, first: int, last: int) -> None:
    with BatchLoader(partial(make_batch, cutter, 100, 1), range(first, last)) as loader:
        batches = list(loader)
    assert len(batches) == last - first
    assert all(equal(batch, make_batch(cutter, 100, 1, first + i)) for i, batch in enumerate(batches))


def test_an_error_while_cutting_reaches_the_loop(cutter: SphereCutter) -> None:
    cutter.features = ("smell",)
    with BatchLoader(partial(make_batch, cutter, 100, 1), range(5)) as loader, pytest.raises(ValueError, match="smell"):
        next(iter(loader))


def test_the_loader_takes_no_more_threads_than_the_loop(cutter: SphereCutter, monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen, cut = torch.get_num_threads(), [], cutter.cut
    monkeypatch.setattr(cutter, "cut", lambda generator: (seen.append(torch.get_num_threads()), cut(generator))[1])
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            with BatchLoader(partial(make_batch, cutter, 100, 1), range(2)) as loader:
                list(loader)
            assert set(seen) == {threads}
            seen.clear()
    finally:
        torch.set_num_threads(before)
