# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Farthest-point sampling."""

import pytest
import torch
from random_clouds import random_batch

from kpconv_ros.geometry import sampling
from kpconv_ros.geometry.sampling import SamplingError, sample_farthest
from reference.sampling import brute_farthest


@pytest.mark.parametrize("pick", [sampling._pick_compiled, sampling._pick])
def test_the_picks_are_those_of_every_pair(pick) -> None:  # type: ignore[no-untyped-def]
    points, _ = random_batch([80])
    assert pick(points, 15, torch.tensor([0])).tolist() == brute_farthest(points.numpy(), 15)
    seeds = [7, 3, 60]
    assert pick(points, 15, torch.tensor(seeds)).tolist() == brute_farthest(points.numpy(), 15, seeds)


@pytest.mark.parametrize("pick", [sampling._pick_compiled, sampling._pick])
def test_no_row_is_picked_twice_even_among_copies(pick) -> None:  # type: ignore[no-untyped-def]
    points = torch.zeros(6, 3)
    points[4] = 1.0
    assert pick(points, 6, torch.tensor([2, 5])).tolist() == [2, 5, 4, 0, 1, 3]


def test_a_completion_keeps_the_seeds_and_refuses_what_cannot_be_completed() -> None:
    points, _ = random_batch([20])
    assert sampling.complete_farthest(points, torch.tensor([4, 1]), 2).tolist() == [4, 1]
    for seeds, count in (([], 3), ([0, 1, 2], 2), ([0], 21)):
        with pytest.raises(SamplingError, match="seeds and at least"):
            sampling.complete_farthest(points, torch.tensor(seeds, dtype=torch.int64), count)


def test_a_square_is_picked_by_hand() -> None:
    points = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [1, 0, 0], [0, 1, 0], [2, 2, 0]])
    assert sample_farthest(points, torch.tensor([5]), 3).tolist() == [[0, 4, 2]]  # rows 2 and 3 tie


def test_a_packed_batch_equals_its_clouds_one_by_one() -> None:
    points, lengths = random_batch([30, 12, 40])
    picked = sample_farthest(points, lengths, 10)
    assert picked.shape == (3, 10)
    for rows, cloud, first in zip(picked, points.split(lengths.tolist()), (0, 30, 42), strict=True):
        assert (rows - first).equal(sample_farthest(cloud, torch.tensor([len(cloud)]), 10)[0])


def test_moving_the_cloud_changes_nothing() -> None:
    points, lengths = random_batch([50])
    points = (points * 256).round() / 256
    assert sample_farthest(points, lengths, 9).equal(sample_farthest(points + 16, lengths, 9))


def test_equal_points_and_single_points_can_be_sampled() -> None:
    assert sample_farthest(torch.ones(1, 3), torch.tensor([1]), 1).tolist() == [[0]]
    assert sample_farthest(torch.ones(5, 3), torch.tensor([5]), 3).shape == (1, 3)
    assert sample_farthest(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), 3).shape == (0, 3)


@pytest.mark.parametrize("count", [0, 6])
def test_more_samples_than_points_are_refused(count: int) -> None:
    with pytest.raises(SamplingError, match="points in each cloud, got"):
        sample_farthest(*random_batch([8, 5]), count)
