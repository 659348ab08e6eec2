# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SELU, compiled, beside that of torch in float64."""

import pytest
import torch
from torch.nn import functional

from kpconv_ros.layers.selu import selu


def test_values_and_gradients_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.cat([torch.linspace(-120, 20, 5000), torch.tensor([0.0, -0.0, 1e30, -1e30, -1e-30, 1e-30])])
    values = torch.cat([wide, 3 * torch.randn(5000, generator=generator)])
    weight = torch.randn(len(values), generator=generator)
    one, other = values.clone().requires_grad_(), values.double().requires_grad_()
    found, expected = selu(one * 1), functional.selu(other)
    torch.testing.assert_close(found.double(), expected, rtol=3e-7, atol=3e-7)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-6, atol=1e-6)


def test_small_negative_values_keep_their_digits() -> None:
    values = -torch.logspace(-30, -1, 400)
    torch.testing.assert_close(selu(values.clone()).double(), functional.selu(values.double()), rtol=1e-6, atol=0.0)


def test_it_works_in_place_on_any_shape_and_type() -> None:
    values = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
    for features in (values.clone(), values.double(), values.transpose(0, 2)):
        expected = functional.selu(features)
        assert selu(features).data_ptr() == features.data_ptr()
        torch.testing.assert_close(features, expected)
    assert selu(torch.empty(0, 4)).shape == (0, 4)


@pytest.mark.parametrize("value", [float("nan")])
def test_what_is_no_number_is_not_hidden(value: float) -> None:
    assert not torch.isfinite(selu(torch.full((16,), value))).any()
