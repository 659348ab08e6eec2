# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features rebuilt from those of similar points."""

import pytest
import torch
from torch import Tensor

from kpconv_ros.layers.feature_reallocation import FeatureReallocation


def make(max_affinities: int = 1 << 22) -> tuple[FeatureReallocation, Tensor, Tensor]:
    torch.manual_seed(0)
    module = FeatureReallocation(4, max_affinities).double()
    module.affinity.data.normal_()
    return module, torch.randn(7, 4).double().requires_grad_(), torch.randn(5, 4).double().requires_grad_()


@pytest.mark.parametrize("max_affinities", [1, 11, 1 << 22])
@pytest.mark.parametrize("transposed", [False, True])
def test_values_and_gradients_are_those_of_equations_2_to_4(max_affinities: int, transposed: bool) -> None:
    module, queries, sources = make(max_affinities)
    weight = module.affinity.t() if transposed else module.affinity
    expected = torch.stack(
        [
            sum(w * s for w, s in zip(torch.softmax(sources @ (weight.t() @ q), 0), sources, strict=True))
            for q in queries
        ]
    )
    out = module(queries, sources, transposed)
    torch.testing.assert_close(out, expected)
    inputs = (queries, sources, module.affinity)
    for mine, its in zip(*(torch.autograd.grad(o.square().sum(), inputs) for o in (out, expected)), strict=True):
        torch.testing.assert_close(mine, its)


def test_no_more_affinities_than_allowed_exist_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, softmax = [], torch.softmax
    monkeypatch.setattr(
        torch, "softmax", lambda matrix, dim: (sizes.append(matrix.numel()), softmax(matrix, dim=dim))[1]
    )
    module, queries, sources = make(12)
    module(queries, sources).sum().backward()
    assert len(sizes) >= 8 and max(sizes) <= 12  # four parts, each computed again for the gradient


def test_equal_sources_give_their_own_features_and_nothing_gives_nothing() -> None:
    module, queries, sources = make()
    same = sources[:1].expand(5, 4)
    torch.testing.assert_close(module(queries, same), sources[:1].expand(7, 4))
    assert module(queries[:0], sources).shape == (0, 4)
