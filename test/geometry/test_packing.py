# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packed batches."""

import pytest
import torch

from kpconv_ros.geometry.packing import PackingError, check_packed, cloud_of_point, offsets_of


def test_offsets_and_clouds_are_those_of_the_documentation() -> None:
    lengths = torch.tensor([3, 2, 4])
    assert offsets_of(lengths).tolist() == [0, 3, 5, 9]
    assert cloud_of_point(lengths).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]


def test_empty_clouds_and_an_empty_batch_have_offsets() -> None:
    assert offsets_of(torch.tensor([0, 2, 0])).tolist() == [0, 0, 2, 2]
    assert cloud_of_point(torch.tensor([0, 2, 0])).tolist() == [1, 1]
    assert offsets_of(torch.zeros(0, dtype=torch.int64)).tolist() == [0]


@pytest.mark.parametrize(
    ("points", "lengths", "message"),
    [
        (torch.zeros(4, 2), torch.tensor([4]), r"expected a float tensor \(N, 3\), got torch.float32 \(4, 2\)"),
        (torch.zeros(4, 3, dtype=torch.int64), torch.tensor([4]), "expected a float tensor"),
        (torch.zeros(4, 3), torch.tensor([4], dtype=torch.int32), "expected int64"),
        (torch.zeros(4, 3), torch.tensor(4), "expected int64"),
        (torch.zeros(4, 3), torch.tensor([1, 2]), r"expected a sum of 4 points, got \[1, 2\]"),
        (torch.zeros(4, 3), torch.tensor([5, -1]), "expected a sum of 4 points"),
    ],
)
def test_what_does_not_belong_together_is_refused(points: torch.Tensor, lengths: torch.Tensor, message: str) -> None:
    with pytest.raises(PackingError, match=message):
        check_packed(points, lengths)


def test_a_good_batch_passes() -> None:
    check_packed(torch.zeros(4, 3, dtype=torch.float64), torch.tensor([1, 0, 3]))
    check_packed(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
