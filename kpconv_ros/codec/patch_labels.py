# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels of the patches of sub-tiles as symbols whose frequencies are learned while they are written and read.

A patch covers about the same part of each sub-tile, so its label is guessed from that in the sub-tile before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.range_coder import TOTAL, SymbolReader, SymbolWriter, count_bits, even_frequencies

Array = NDArray[Any]
_FIRST, _RAISE = 1, 8  # of the counts


class _Learned:
    """How often each label followed each; the last row is for patches without a guess."""

    def __init__(self, num_labels: int) -> None:
        self._counts = [[_FIRST] * num_labels for _ in range(num_labels + 1)]
        self._sums = [_FIRST * num_labels] * (num_labels + 1)

    def frequencies(self, guess: int) -> list[int]:
        """Return those of each label after a guess."""
        counts, total = self._counts[guess], self._sums[guess]
        room = TOTAL - len(counts)
        frequencies = [1 + count * room // total for count in counts]
        frequencies[frequencies.index(max(frequencies))] += TOTAL - sum(frequencies)
        return frequencies

    def learn(self, guess: int, label: int) -> None:
        """Count a label."""
        self._counts[guess][label] += _RAISE
        self._sums[guess] += _RAISE


def write_labels(writer: SymbolWriter, labels: NDArray[np.uint8]) -> None:
    """Write the labels of the patches of sub-tiles, ``(S, K)``."""
    for symbols, frequencies in _symbols_of(labels):
        writer.write(symbols, frequencies)


def count_label_bits(labels: NDArray[np.uint8]) -> float:
    """Return the bits that `write_labels` takes."""
    return sum(count_bits(symbols, frequencies) for symbols, frequencies in _symbols_of(labels))


def _symbols_of(labels: NDArray[np.uint8]) -> list[tuple[Array, Array]]:
    """Return symbols and the frequencies by which they are written, part by part."""
    known = np.unique(labels)
    parts = [
        (np.array([len(known) - 1]), even_frequencies(256)),
        (known, np.repeat(even_frequencies(256), len(known), axis=0)),
    ]
    if len(known) == 1:
        return parts
    learned, rows = _Learned(len(known)), []
    symbols = np.searchsorted(known, labels)
    guesses = np.concatenate([np.full((1, labels.shape[1]), len(known)), symbols[:-1]])
    for guess, symbol in zip(guesses.ravel().tolist(), symbols.ravel().tolist()):
        rows.append(learned.frequencies(guess))
        learned.learn(guess, symbol)
    return [*parts, (symbols.ravel(), np.array(rows))]


def read_labels(reader: SymbolReader, num_subtiles: int, num_patches: int) -> NDArray[np.uint8]:
    """Read what :func:`write_labels` wrote, ``(S, K)``.

    Raises:
        CodecError: If the bytes are others.
    """
    count = int(reader.read(even_frequencies(256))[0]) + 1
    known = reader.read(np.repeat(even_frequencies(256), count, axis=0)).astype(np.uint8)
    symbols, learned = np.zeros((num_subtiles, num_patches), np.int64), _Learned(count)
    for subtile in range(num_subtiles if count > 1 else 0):
        for patch in range(num_patches):
            guess = int(symbols[subtile - 1, patch]) if subtile else count
            symbols[subtile, patch] = reader.read(np.array([learned.frequencies(guess)]))[0]
            learned.learn(guess, int(symbols[subtile, patch]))
    labels: NDArray[np.uint8] = known[symbols]
    return labels
