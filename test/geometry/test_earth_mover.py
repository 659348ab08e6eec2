# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Earth mover's distance and its bound by k-d cells."""

import pytest
import torch
from torch import Tensor

from kpconv_ros.geometry.assignment import AssignmentError, match_exactly
from kpconv_ros.geometry.earth_mover import Matcher, emd, emkd, match_approximately, match_in_cells, matched_distances


def pair(batch: int, count: int, noise: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return clouds, and the same ones in another order with noise."""
    generator = torch.Generator().manual_seed(seed)
    cloud = torch.rand(batch, count, 3, generator=generator)
    other = cloud[:, torch.randperm(count, generator=generator)]
    return cloud, other + noise * torch.randn(other.shape, generator=generator)


@pytest.mark.parametrize("matcher", [match_exactly, match_approximately])
@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("cell_size", [32, 50])
def test_emkd_is_an_upper_bound_of_emd(cell_size: int, noise: float, power: float, matcher: Matcher) -> None:
    one, other = pair(2, 192, noise)
    bound, distance = emkd(one, other, cell_size, power, matcher), emd(one, other, power)
    assert (bound >= distance * (1 - 1e-6)).all()
    assert (bound > distance * 1.001).any()  # cells cost something, so it is no copy


def test_one_cell_is_the_whole_problem() -> None:
    one, other = pair(2, 90, 0.2)
    assert torch.equal(emkd(one, other, 90), emd(one, other))


def test_a_reordered_cloud_has_no_distance_in_any_cells() -> None:
    one, other = pair(2, 130, 0.0)
    assert emkd(one, other, 20).tolist() == [0.0, 0.0]
    matches = match_in_cells(one, other, 20)
    assert torch.equal(other.gather(1, matches[..., None].expand_as(one)), one)


def test_distances_by_hand() -> None:
    one = torch.tensor([[[0.0, 0, 0], [10, 0, 0]]])
    other = torch.tensor([[[10.0, 3, 0], [0, 0, 1]]])
    assert emd(one, other).tolist() == [pytest.approx((9 + 1) / 2)]
    assert emd(one, other, power=1.0).tolist() == [pytest.approx((3 + 1) / 2)]
    assert emkd(one, other, cell_size=1).tolist() == [pytest.approx((9 + 1) / 2)]


def test_the_order_of_the_points_does_not_matter() -> None:
    one, other = pair(1, 150, 0.3)
    shuffled = other[:, torch.randperm(150, generator=torch.Generator().manual_seed(5))]
    assert torch.allclose(emkd(one, other, 40), emkd(one, shuffled, 40))


def test_matches_in_cells_are_bijections() -> None:
    one, other = pair(2, 101, 0.5)
    for matcher in (match_exactly, match_approximately):
        for cloud in match_in_cells(one, other, 16, matcher=matcher).tolist():
            assert sorted(cloud) == list(range(101))


def test_matched_distances_can_be_differentiated() -> None:
    one, other = (cloud.double().requires_grad_() for cloud in pair(2, 5, 0.4))
    matches = match_exactly(one, other)
    for power in (1.0, 2.0):
        assert torch.autograd.gradcheck(lambda a, b, p=power: matched_distances(a, b, matches, p), (one, other))


def test_clouds_of_other_sizes_are_refused() -> None:
    with pytest.raises(AssignmentError, match=r"\(1, 4, 3\), \(1, 5, 3\)"):
        emkd(torch.zeros(1, 4, 3), torch.zeros(1, 5, 3))
