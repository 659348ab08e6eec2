# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of the soft projection and their derivatives against Eq. (9) in float64."""

import torch
from real_clouds import CloudSource
from torch import Tensor

from kpconv_ros.kernels.gpu.soft_projection import weigh
from reference.neighbors import all_distances


def plain(queries: Tensor, points: Tensor, scores: Tensor, temperature: Tensor, rows: Tensor) -> Tensor:
    """Eq. (9) as it is written, rows of -1 left out."""
    squares = (queries[:, None] - points[rows]).square().sum(2)
    logits = (scores[rows] - squares / temperature**2).masked_fill(rows < 0, -torch.inf)
    return logits.softmax(1)


def test_weights_and_all_their_gradients_are_those_of_the_paper(device: torch.device, source: CloudSource) -> None:
    generator = torch.Generator().manual_seed(0)
    (queries, count), (points, counts) = source.batch([6], seed=1), source.batch([20])
    queries = queries + 0.1 * torch.randn(6, 3, generator=generator)  # a network's, near the cloud
    inputs = [queries, points, torch.randn(20, generator=generator), torch.tensor(0.3)]
    rows = all_distances(queries, points, count, counts).argsort(1)[:, :7]
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
