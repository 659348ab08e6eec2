# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows shared among threads."""

import threading

import pytest
import torch

from kpconv_ros.kernels.threads import MIN_ROWS, run_over_rows, split_rows


@pytest.mark.parametrize("num_rows", [0, 1, MIN_ROWS, 2 * MIN_ROWS - 1, 2 * MIN_ROWS, 100_001])
def test_the_ranges_cover_all_rows_once(num_rows: int) -> None:
    ranges = split_rows(num_rows)
    assert [row for first, last in ranges for row in range(first, last)] == list(range(num_rows))
    assert 1 <= len(ranges) <= torch.get_num_threads()


def test_few_rows_stay_on_the_calling_thread() -> None:
    assert run_over_rows(lambda first, last: (first, last, threading.current_thread()), 10) == [
        (0, 10, threading.current_thread())
    ]


def test_results_come_in_order_whatever_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            parts = run_over_rows(lambda first, last: list(range(first, last)), 10 * MIN_ROWS)
            assert len(parts) == count and sum(parts, []) == list(range(10 * MIN_ROWS))
    finally:
        torch.set_num_threads(before)


def test_an_error_in_any_part_reaches_the_caller() -> None:
    def fail(first: int, last: int) -> None:
        if last == 4 * MIN_ROWS:
            raise RuntimeError("the last part")

    with pytest.raises(RuntimeError, match="the last part"):
        run_over_rows(fail, 4 * MIN_ROWS)
