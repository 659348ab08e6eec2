# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matching of the points of pairs of clouds with as many points: exactly, and by an auction on any device.

The cost of a pair is ``||p - q||^power``. A matching is ``(B, n)`` int64: the row of the other cloud for each point.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from kpconv_ros.kernels.auction import find_prices

EXACT = "donot_use_mm_for_euclid_dist"  # by products, distances far from the origin lose their last digits
UNMATCHED = -1
RAISE = 2e-3  # least raise of a bid over the mean cost of the nearest


class AssignmentError(ValueError):
    """Clouds that cannot be matched."""


def pair_costs(one: Tensor, other: Tensor, power: float = 2.0) -> Tensor:
    """Return the cost of every pair, ``(B, n, n)``, of clouds ``(B, n, 3)``.

    Raises:
        AssignmentError: If the clouds do not have the same number of points.
    """
    if one.ndim != 3 or one.shape != other.shape or one.shape[2] != 3:
        raise AssignmentError(f"expected clouds (B, n, 3) of one size, got {tuple(one.shape)}, {tuple(other.shape)}")
    return torch.cdist(one, other, compute_mode=EXACT).pow(power)


def match_exactly(one: Tensor, other: Tensor, power: float = 2.0) -> Tensor:
    """Find the bijections of least total cost by the algorithm of Jonker and Volgenant; runs on the CPU.

    Time grows about with n^3, and clouds close to each other are done faster than those far apart.

    Args:
        one: ``(B, n, 3)``.
        other: ``(B, n, 3)``.
        power: Of the distance in the cost.

    Returns:
        Rows of ``other`` for each point of ``one``, ``(B, n)`` int64.

    Raises:
        AssignmentError: As :func:`pair_costs`, or if a coordinate is not finite.
    """
    costs = _finite_costs(one, other, power)
    matches = np.stack([linear_sum_assignment(cost)[1] for cost in costs]) if len(costs) else np.empty(one.shape[:2])
    return torch.from_numpy(matches).long().to(one.device)


def match_by_prices(one: Tensor, other: Tensor, power: float = 2.0) -> Tensor:
    """Match as :func:`match_exactly` does, sooner where the clouds are far apart.

    The prices of an auction are added to the columns of the costs first. That changes all bijections alike: the best
    is still the best, and the searches for it become short. Arguments, result and errors are those of the other.
    """
    matches = [linear_sum_assignment(_price(cost))[1] for cost in _finite_costs(one, other, power)]
    return torch.from_numpy(np.stack(matches) if matches else np.empty(one.shape[:2])).long().to(one.device)


def _finite_costs(one: Tensor, other: Tensor, power: float) -> NDArray[np.float64]:
    costs = pair_costs(one.detach().double(), other.detach().double(), power).cpu().numpy()
    if not np.isfinite(costs).all():
        raise AssignmentError("expected finite coordinates, got NaN or infinity")
    return np.asarray(costs)


def _price(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return costs ``(n, n)`` with prices added to the columns, and the least of each row subtracted."""
    raised = RAISE * float(costs.min(axis=1, initial=np.inf).mean()) if len(costs) else 0.0
    if not raised > 0.0:
        return costs
    priced = costs + find_prices(costs, raised)
    return np.asarray(priced - priced.min(axis=1, keepdims=True))


def match_by_auction(one: Tensor, other: Tensor, rounds: int = 100, epsilon: float = 1.0, power: float = 2.0) -> Tensor:
    """Match approximately by an auction in which all points without a partner bid at once.

    Bertsekas, "The auction algorithm", 1988. The price of a point rises by what the winner gives up for it, at least
    ``epsilon``. With enough rounds all are matched within ``n epsilon`` of the least total cost; points without a
    partner after the last round name the point that they would bid for, as in the paper of NeuralQAAD, so **a point of
    ``other`` may be named twice**: see :func:`keep_nearest`.

    Args:
        one: ``(B, n, 3)``; it bids.
        other: ``(B, n, 3)``.
        rounds: Most rounds.
        epsilon: Least raise of a bid, in the unit of the cost.
        power: Of the distance in the cost.

    Raises:
        AssignmentError: As :func:`pair_costs`, or if ``epsilon`` is not positive.
    """
    if not epsilon > 0:
        raise AssignmentError(f"epsilon: expected more than 0, got {epsilon}")
    costs = pair_costs(one.detach(), other.detach(), power)
    batch, count = costs.shape[:2]
    prices = costs.new_zeros(batch, count)
    partner = torch.full((batch, count), UNMATCHED, device=one.device)  # of each point of one
    for _ in range(rounds):
        cloud, bidder = (partner == UNMATCHED).nonzero(as_tuple=True)
        if not len(bidder):
            return partner
        wanted, raises = _bids(costs[cloud, bidder] + prices[cloud], epsilon)
        _award(partner, prices, cloud, bidder, wanted, raises)
    cloud, bidder = (partner == UNMATCHED).nonzero(as_tuple=True)
    partner[cloud, bidder] = (costs[cloud, bidder] + prices[cloud]).argmin(1)
    return partner


def _bids(values: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return what each bidder wants, from costs with prices ``(m, n)``, and by how much it raises the price."""
    least = values.topk(min(2, values.shape[1]), 1, largest=False)
    return least.indices[:, 0], least.values[:, -1] - least.values[:, 0] + epsilon


def _award(partner: Tensor, prices: Tensor, cloud: Tensor, bidder: Tensor, wanted: Tensor, raises: Tensor) -> None:
    """Give each wanted point to its highest bidder, the first of equals, in place of whom it had."""
    batch, count = prices.shape
    target = cloud * count + wanted
    highest = torch.zeros_like(prices).view(-1).scatter_reduce(0, target, raises, "amax", include_self=False)
    winning = (raises == highest[target]).nonzero()[:, 0]
    first = torch.full((batch * count,), len(target), device=target.device)
    first = first.scatter_reduce(0, target[winning], winning, "amin")
    winner = first[first < len(target)]
    owner = torch.full((batch * count,), UNMATCHED, device=target.device)  # bidder of each point of other
    matched_cloud, matched = (partner != UNMATCHED).nonzero(as_tuple=True)
    owner[matched_cloud * count + partner[matched_cloud, matched]] = matched_cloud * count + matched
    evicted = owner[target[winner]]
    partner.view(-1)[evicted[evicted != UNMATCHED]] = UNMATCHED
    partner[cloud[winner], bidder[winner]] = wanted[winner]
    prices.view(-1)[target[winner]] += raises[winner]


def keep_nearest(one: Tensor, other: Tensor, matches: Tensor) -> Tensor:
    """Leave each point of ``other`` to the nearest of the points that are matched to it; the rest become UNMATCHED.

    Args:
        one: ``(B, n, 3)``.
        other: ``(B, n, 3)``.
        matches: Rows of ``other``, ``(B, n)``.

    Returns:
        ``(B, n)``, each row of ``other`` once at most; of points as near the first one keeps it.
    """
    distances = (one - other.gather(1, matches[..., None].expand_as(one))).square().sum(2)
    by_distance = distances.argsort(dim=1, stable=True)
    order = by_distance.gather(1, matches.gather(1, by_distance).argsort(dim=1, stable=True))
    named = matches.gather(1, order)
    first = torch.ones_like(named, dtype=torch.bool)
    first[:, 1:] = named[:, 1:] != named[:, :-1]
    return torch.full_like(matches, UNMATCHED).scatter(1, order, torch.where(first, named, UNMATCHED))


def complete_exactly(one: Tensor, other: Tensor, matches: Tensor, power: float = 2.0) -> Tensor:
    """Match what is UNMATCHED with the rows of ``other`` that are left, at the least total cost of these."""
    completed = matches.clone()
    for cloud, (rows, left) in enumerate(_left_over(matches)):
        if len(rows):
            completed[cloud, rows] = left[match_exactly(one[cloud, rows][None], other[cloud, left][None], power)[0]]
    return completed


def complete_randomly(matches: Tensor, generator: torch.Generator) -> Tensor:
    """Match what is UNMATCHED with the rows of the other cloud that are left, at random.

    Args:
        matches: ``(B, n)``, each row of the other cloud once at most.
        generator: On the CPU.
    """
    completed = matches.clone()
    for cloud, (rows, left) in enumerate(_left_over(matches)):
        completed[cloud, rows] = left[torch.randperm(len(left), generator=generator).to(left.device)]
    return completed


def _left_over(matches: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return, for each cloud, its points without a partner, and the rows that are nobody's."""
    result = []
    for cloud in matches:
        free = torch.ones(len(cloud), dtype=torch.bool, device=cloud.device)
        free[cloud[cloud != UNMATCHED]] = False
        result.append(((cloud == UNMATCHED).nonzero()[:, 0], free.nonzero()[:, 0]))
    return result
