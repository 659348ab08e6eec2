# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbourhood co-occurrence matrices."""

import pytest
import torch
from torch import Tensor

from kpconv_ros.geometry.neighbors import NeighborLists, find_neighbor_lists
from kpconv_ros.losses import cooccurrence as module
from kpconv_ros.losses.cooccurrence import (
    cooccurrence_loss,
    cooccurrences,
    ncm_loss,
    normalize_cooccurrences,
    one_hot_labels,
)
from reference.cooccurrence import looped_cooccurrences


@pytest.fixture
def lists() -> NeighborLists:
    """Neighbourhoods that are not symmetric, as those with a limit are."""
    points, lengths = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([40, 20])
    return find_neighbor_lists(points, points, lengths, lengths, 0.4, max_neighbors=7)


def softmax_maps(num_points: int = 60, num_classes: int = 4) -> Tensor:
    return torch.randn(num_points, num_classes, generator=torch.Generator().manual_seed(1)).double().softmax(1)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 18])
def test_values_and_gradients_are_those_of_the_looped_twin(
    lists: NeighborLists, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_PAIRS", chunk)
    maps = softmax_maps().requires_grad_()
    mine, its = cooccurrences(maps, lists), looped_cooccurrences(maps, lists)
    torch.testing.assert_close(mine, its)
    weights = torch.linspace(-1, 1, 16).double().view(4, 4)
    for one, other in zip(*(torch.autograd.grad((m * weights).sum(), maps) for m in (mine, its)), strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_are_right_in_double_precision(lists: NeighborLists) -> None:
    maps = softmax_maps().requires_grad_()
    assert torch.autograd.gradcheck(lambda m: cooccurrences(m, lists), maps)
    logits, labels = torch.randn(60, 4).double().requires_grad_(), torch.randint(-1, 4, (60,))
    for reverse in (False, True):
        loss = ncm_loss(logits, labels, lists, reverse=reverse)
        assert loss > 0 and torch.autograd.grad(loss, logits)[0].isfinite().all()


def test_a_row_tells_which_classes_are_around_a_class() -> None:
    lists = NeighborLists(torch.tensor([0, 2, 4, 5]), torch.tensor([0, 1, 1, 2, 2]))  # 0: 0 1, 1: 1 2, 2: 2
    maps = one_hot_labels(torch.tensor([0, 1, -1]), 3)
    assert maps.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    counts = cooccurrences(maps, lists)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert normalize_cooccurrences(counts).tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]]


def test_both_divergences_are_zero_at_the_target_and_differ_elsewhere() -> None:
    target, predicted = torch.tensor([[0.5, 0.5], [0.1, 0.9]]), torch.tensor([[0.8, 0.2], [0.1, 0.9]])
    for reverse in (False, True):
        assert float(cooccurrence_loss(target, target, reverse)) == pytest.approx(0, abs=1e-6)
    usual = 0.5 * (0.5 * torch.tensor(0.5 / 0.8).log() + 0.5 * torch.tensor(0.5 / 0.2).log())
    other = 0.5 * (0.8 * torch.tensor(0.8 / 0.5).log() + 0.2 * torch.tensor(0.2 / 0.5).log())
    assert float(cooccurrence_loss(predicted, target)) == pytest.approx(float(usual), rel=1e-4)
    assert float(cooccurrence_loss(predicted, target, True)) == pytest.approx(float(other), rel=1e-4)


def test_classes_that_do_not_occur_do_not_count() -> None:
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    predicted = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    assert float(cooccurrence_loss(predicted, target)) == pytest.approx(0, abs=1e-5)
    assert float(cooccurrence_loss(predicted, torch.zeros(2, 2))) == 0


def test_descent_brings_the_predicted_matrix_to_the_target(lists: NeighborLists) -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (60,))
    target = normalize_cooccurrences(cooccurrences(one_hot_labels(labels, 3), lists))
    for reverse in (False, True):
        logits = torch.randn(60, 3, requires_grad=True)
        optimizer = torch.optim.Adam([logits], 0.05)
        losses = []
        for _ in range(200):
            loss = ncm_loss(logits, labels, lists, target, reverse)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.05 * losses[0]
        predicted = normalize_cooccurrences(cooccurrences(logits.softmax(1).detach(), lists))
        assert float((predicted - target).abs().max()) < 0.1


def test_unlabelled_points_have_no_say(lists: NeighborLists) -> None:
    logits, labels = torch.randn(60, 4), torch.randint(0, 4, (60,))
    labels[::3] = -1
    changed = logits.clone()
    changed[::3] += 5 * torch.randn(20, 4)
    assert float(ncm_loss(logits, labels, lists)) == pytest.approx(float(ncm_loss(changed, labels, lists)))
    assert float(ncm_loss(logits, torch.full((60,), -1), lists)) == 0
