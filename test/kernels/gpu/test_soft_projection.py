# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of the soft projection and their derivatives against Eq. (9) in float64."""

import torch
from torch import Tensor

from kpconv_ros.kernels.gpu.soft_projection import weigh


def plain(queries: Tensor, points: Tensor, scores: Tensor, temperature: Tensor, rows: Tensor) -> Tensor:
    """Eq. (9) as it is written, rows of -1 left out."""
    squares = (queries[:, None] - points[rows]).square().sum(2)
    logits = (scores[rows] - squares / temperature**2).masked_fill(rows < 0, -torch.inf)
    return logits.softmax(1)


def test_weights_and_all_their_gradients_are_those_of_the_paper(device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(size, generator=generator) for size in ((6, 3), (20, 3), (20,))] + [torch.tensor(0.8)]
    rows = torch.stack([torch.randperm(20, generator=generator)[:7] for _ in range(6)])
    rows[2, 4:] = -1
    upstream = torch.randn(6, 7, generator=generator)
    ours = [t.clone().to(device).requires_grad_() for t in inputs]
    out = weigh(*ours, rows.to(device))
    out.backward(upstream.to(device))
    theirs = [t.double().requires_grad_() for t in inputs]
    expected = plain(*theirs, rows)
    expected.backward(upstream.double())
    torch.testing.assert_close(out.detach().cpu().double(), expected.detach(), rtol=1e-4, atol=1e-6)
    assert (out[2, 4:] == 0).all()
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None and other.grad is not None and other.grad.abs().max() > 0.01
        torch.testing.assert_close(one.grad.cpu().double(), other.grad, rtol=1e-4, atol=1e-5)
