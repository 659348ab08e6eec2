# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training objectives."""

import math

import pytest
import torch

from kpconv_ros.losses.segmentation import class_weights, lovasz_softmax, segmentation_loss
from reference.losses import looped_lovasz_softmax


def test_lovasz_is_its_definition_with_its_gradient() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(30, 4, dtype=torch.float64, requires_grad=True), torch.randint(0, 3, (30,))
    found, expected = lovasz_softmax(logits.softmax(1), labels), looped_lovasz_softmax(logits.softmax(1), labels)
    torch.testing.assert_close(found, expected)
    mine, its = (torch.autograd.grad(loss, logits)[0] for loss in (found, expected))
    torch.testing.assert_close(mine, its)


def test_lovasz_of_hard_predictions_is_one_minus_the_mean_iou() -> None:
    labels, predicted = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 1])
    loss = lovasz_softmax(torch.eye(2)[predicted], labels)
    assert float(loss) == pytest.approx(1 - (2 / 3 + 2 / 3) / 2)
    assert float(lovasz_softmax(torch.eye(2)[labels], labels)) == 0.0


def test_rows_without_a_label_do_not_count() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(20, 3), torch.randint(0, 3, (20,))
    labels[::4] = -1
    kept = labels >= 0
    whole, part = (segmentation_loss(x, y, None, 1.0) for x, y in ((logits, labels), (logits[kept], labels[kept])))
    torch.testing.assert_close(whole, part)


def test_without_any_label_the_loss_is_zero_and_can_be_differentiated() -> None:
    logits = torch.randn(5, 3, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((5,), -1), None, 1.0)
    loss.backward()
    assert float(loss.detach()) == 0.0 and logits.grad is not None and logits.grad.eq(0).all()
    assert float(lovasz_softmax(torch.rand(5, 3), torch.full((5,), -1)).isfinite())


def test_the_cross_entropy_by_hand() -> None:
    logits, labels = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([0, 1])
    assert float(segmentation_loss(logits, labels, None, 0.0)) == pytest.approx((math.log(2) + math.log(4)) / 2)
    weighted = segmentation_loss(logits, labels, torch.tensor([3.0, 1.0]), 0.0)
    assert float(weighted) == pytest.approx((3 * math.log(2) + math.log(4)) / 4)


def test_the_terms_are_added_and_bfloat16_logits_are_taken() -> None:
    logits, labels = torch.randn(8, 3).bfloat16(), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    one, lovasz = segmentation_loss(logits, labels, None, 0.0), lovasz_softmax(logits.float().softmax(1), labels)
    torch.testing.assert_close(segmentation_loss(logits, labels, None, 0.5), one + 0.5 * lovasz)


def test_class_weights_fall_with_the_frequency_and_are_one_on_average() -> None:
    weights = class_weights(torch.tensor([100, 0, 25, 400]))
    torch.testing.assert_close(weights, torch.tensor([0.1, 0, 0.2, 0.05]) * 3 / 0.35)
    assert class_weights(torch.tensor([7, 90]), power=0.0).tolist() == [1, 1]
    torch.testing.assert_close(class_weights(torch.tensor([1, 3]), power=1.0), torch.tensor([1.5, 0.5]))


def test_parts_of_a_batch_average_to_its_loss_when_divided_by_their_mean_weight() -> None:
    generator = torch.Generator().manual_seed(4)
    logits, weights = torch.randn(30, 3, generator=generator), torch.tensor([0.2, 1.0, 1.8])
    labels = torch.randint(-1, 3, (30,), generator=generator)
    parts = [slice(0, 8), slice(8, 30)]
    total = weights[labels[labels >= 0]].sum() / 2
    losses = [segmentation_loss(logits[part], labels[part], weights, 0.0, total) for part in parts]
    torch.testing.assert_close(sum(losses) / 2, segmentation_loss(logits, labels, weights, 0.0))
