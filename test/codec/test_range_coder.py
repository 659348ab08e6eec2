# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Symbols come back as they were written, in about as many bytes as their frequencies promise."""

import numpy as np
import pytest

from kpconv_ros.codec.range_coder import (
    TOTAL,
    SymbolReader,
    SymbolWriter,
    count_bits,
    even_frequencies,
    frequencies_of,
)


def random_message(seed: int, length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    frequencies = frequencies_of(generator.exponential(size=(length, size)) ** 3)
    symbols = [generator.choice(size, p=row / TOTAL) for row in frequencies.astype(float)]
    return np.array(symbols), frequencies


def test_frequencies_are_whole_and_fill_the_total_even_where_nothing_was_counted() -> None:
    frequencies = frequencies_of(np.array([[0.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.0, 1e9, 1.0]]))
    assert frequencies.dtype == np.int32 and (frequencies.sum(1) == TOTAL).all() and (frequencies >= 1).all()
    assert frequencies[1].tolist() == [16384, 49151, 1]
    assert np.ptp(even_frequencies(7)) <= 2


@pytest.mark.parametrize("length", [0, 1, 2, 7, 100, 600])
def test_symbols_come_back_within_a_byte_of_what_their_frequencies_promise(length: int) -> None:
    for seed in range(5):
        symbols, frequencies = random_message(seed, length, 31)
        writer = SymbolWriter()
        writer.write(symbols, frequencies)
        payload = writer.finish()
        assert np.array_equal(SymbolReader(payload).read(frequencies), symbols)
        assert len(payload) <= count_bits(symbols, frequencies) / 8 + 1.5


def test_parts_of_different_alphabets_follow_each_other() -> None:
    writer = SymbolWriter()
    writer.write(np.array([4]), even_frequencies(5))
    writer.write(np.array([0, 255]), np.repeat(even_frequencies(256), 2, axis=0))
    reader = SymbolReader(writer.finish())
    assert reader.read(even_frequencies(5)).tolist() == [4]
    assert reader.read(np.repeat(even_frequencies(256), 2, axis=0)).tolist() == [0, 255]


def test_bits_are_counted_by_hand() -> None:
    frequencies = np.array([[TOTAL // 2, TOTAL // 4, TOTAL // 4]] * 2)
    assert count_bits(np.array([0, 2]), frequencies) == 3.0
