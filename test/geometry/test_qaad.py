# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""QAAD greedy and QAAD reassignment."""

import pytest
import torch
from torch import Tensor

from kpconv_ros.geometry.assignment import AssignmentError
from kpconv_ros.geometry.earth_mover import emkd, match_by_bids, matched_distances
from kpconv_ros.geometry.qaad import assign_greedily, reassign
from reference.qaad import reassign_slowly


def pair(batch: int, count: int, noise: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    folded = torch.randn(batch, count, 3, generator=generator)
    return folded, folded + noise * torch.randn(batch, count, 3, generator=generator)


def errors(folded: Tensor, targets: Tensor, slots: Tensor) -> Tensor:
    return matched_distances(folded.double(), targets.double(), slots)


@pytest.mark.parametrize("noise", [0.1, 1.0, 5.0])
def test_every_accepted_swap_lowers_the_error_and_the_compiled_sweep_takes_the_same(noise: float) -> None:
    folded, targets = pair(3, 120, noise)
    found = reassign(folded, targets)
    slow = [reassign_slowly(*cloud) for cloud in zip(folded, targets, strict=True)]
    for cloud, (slots, history) in enumerate(slow):
        assert found.slots[cloud].tolist() == slots
        assert all(after < before for before, after in zip(history, history[1:], strict=False))
        assert float(errors(folded, targets, found.slots)[cloud]) == pytest.approx(history[-1])
    assert found.swaps == sum(len(history) - 1 for _, history in slow) > 0


def test_reassignment_keeps_bijections_and_comes_to_an_end() -> None:
    folded, targets = pair(2, 90)
    before = errors(folded, targets, torch.arange(90).repeat(2, 1))
    for _ in range(50):
        slots, swaps = reassign(folded, targets)
        assert all(sorted(cloud) == list(range(90)) for cloud in slots.tolist())
        targets = targets.gather(1, slots[..., None].expand_as(targets))
        after = errors(folded, targets, torch.arange(90).repeat(2, 1))
        assert (after <= before).all()
        before = after
        if not swaps:
            break
    assert swaps == 0


def test_two_points_that_hold_each_other_s_target_swap() -> None:
    folded = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [5, 0, 0]]])
    targets = torch.tensor([[[1.1, 0, 0], [0.1, 0, 0], [5, 1, 0]]])
    found = reassign(folded, targets)
    assert found.slots.tolist() == [[1, 0, 2]] and found.swaps == 1
    assert reassign(folded, folded).swaps == 0


def test_a_swap_that_costs_the_owner_more_is_refused() -> None:
    folded = torch.tensor([[[0.0, 0, 0], [-1, 0, 0]]])
    targets = torch.tensor([[[3.0, 0, 0], [-0.2, 0, 0]]])  # the first would gain, the second would lose more
    assert reassign(folded, targets).slots.tolist() == [[0, 1]]


def test_greedy_matches_by_exact_cells_are_those_of_emkd() -> None:
    folded, targets = pair(2, 150)
    matches = assign_greedily(folded, targets, torch.Generator(), 40)
    assert torch.allclose(matched_distances(folded, targets, matches), emkd(folded, targets, 40))


def test_greedy_matches_by_auction_are_bijections_and_the_same_for_a_seed() -> None:
    folded, targets = pair(2, 300, 0.3)
    one, other = (
        assign_greedily(folded, targets, torch.Generator().manual_seed(4), 300, match_by_bids) for _ in range(2)
    )
    assert torch.equal(one, other)
    assert all(sorted(cloud) == list(range(300)) for cloud in one.tolist())
    by_chance = torch.stack([torch.randperm(300, generator=torch.Generator().manual_seed(i)) for i in range(2)])
    assert (matched_distances(folded, targets, one) < 0.5 * matched_distances(folded, targets, by_chance)).all()


def test_clouds_of_other_sizes_are_refused() -> None:
    with pytest.raises(AssignmentError, match=r"\(1, 4, 3\), \(1, 5, 3\)"):
        reassign(torch.zeros(1, 4, 3), torch.zeros(1, 5, 3))
