# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matching of clouds, exactly and by auction."""

from itertools import permutations

import pytest
import torch
from torch import Tensor

from kpconv_ros.geometry.assignment import (
    UNMATCHED,
    AssignmentError,
    complete_exactly,
    complete_randomly,
    keep_nearest,
    match_by_auction,
    match_by_prices,
    match_exactly,
    pair_costs,
)


def pair(batch: int, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, count, 3, generator=generator), torch.rand(batch, count, 3, generator=generator)


def total(one: Tensor, other: Tensor, matches: Tensor, power: float) -> Tensor:
    return pair_costs(one, other, power).gather(2, matches[..., None]).sum((1, 2))


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_exact_matches_are_the_best_of_all_permutations(power: float) -> None:
    one, other = pair(4, 6)
    costs = pair_costs(one, other, power)
    every = torch.tensor(list(permutations(range(6))))  # (720, 6)
    best = torch.stack([cost[torch.arange(6), every].sum(1).min() for cost in costs])
    assert torch.allclose(total(one, other, match_exactly(one, other, power), power), best)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("apart", [0.0, 5.0])
def test_prices_change_no_best_match(power: float, apart: float) -> None:
    one, other = pair(2, 150)
    other = other * torch.tensor([1.0, 3.0, 0.2]) + apart
    matches = match_by_prices(one, other, power)
    assert all(sorted(cloud) == list(range(150)) for cloud in matches.tolist())
    assert torch.allclose(total(one, other, matches, power), total(one, other, match_exactly(one, other, power), power))
    assert torch.equal(match_by_prices(one, one, power), torch.arange(150).expand(2, -1))


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_an_auction_with_time_enough_is_within_n_epsilon_of_the_best(power: float) -> None:
    one, other = pair(3, 60)
    matches = match_by_auction(one, other, rounds=100_000, epsilon=1e-4, power=power)
    assert all(sorted(cloud) == list(range(60)) for cloud in matches.tolist())
    best = total(one, other, match_exactly(one, other, power), power)
    found = total(one, other, matches, power)
    assert (found <= best + 60 * 1e-4 + 1e-5).all() and (found >= best - 1e-5).all()


def test_a_short_auction_names_points_twice_and_the_rest_is_completed() -> None:
    one, other = pair(2, 80)
    matches = match_by_auction(one, other, rounds=2, epsilon=1e-3)
    assert any(len(set(cloud)) < 80 for cloud in matches.tolist())
    kept = keep_nearest(one, other, matches)
    distances = pair_costs(one, other)
    for cloud in range(2):
        for target in set(matches[cloud].tolist()):
            naming = (matches[cloud] == target).nonzero()[:, 0]
            nearest = naming[distances[cloud, naming, target].argmin()]
            assert [row for row in naming.tolist() if kept[cloud, row] != UNMATCHED] == [int(nearest)]
    by_chance = complete_randomly(kept, torch.Generator().manual_seed(0))
    exact = complete_exactly(one, other, kept)
    for completed in (by_chance, exact):
        assert torch.equal(completed[kept != UNMATCHED], kept[kept != UNMATCHED])
        assert all(sorted(cloud) == list(range(80)) for cloud in completed.tolist())
    assert (total(one, other, exact, 2.0) < total(one, other, by_chance, 2.0)).all()


def test_equal_and_single_points_are_matched() -> None:
    same = torch.ones(1, 5, 3)
    for matches in (match_exactly(same, same), match_by_prices(same, same), match_by_auction(same, same, 100)):
        assert sorted(matches[0].tolist()) == [0, 1, 2, 3, 4]
    for match in (match_by_auction, match_by_prices):
        assert match(torch.zeros(1, 1, 3), torch.ones(1, 1, 3)).tolist() == [[0]]


def test_clouds_that_cannot_be_matched_are_refused() -> None:
    one, other = pair(1, 4)
    with pytest.raises(AssignmentError, match="one size"):
        match_exactly(one, other[:, :3])
    with pytest.raises(AssignmentError, match="finite"):
        match_exactly(one, other * float("nan"))
    with pytest.raises(AssignmentError, match="epsilon"):
        match_by_auction(one, other, epsilon=0.0)
