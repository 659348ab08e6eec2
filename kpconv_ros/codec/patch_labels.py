# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels of the patches of sub-tiles as symbols whose frequencies are learned while they are written and read.

A patch covers about the same part of each sub-tile, so its label is guessed from that in the sub-tile before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.range_coder import TOTAL, SymbolReader, SymbolWriter, even_frequencies

Array = NDArray[Any]
_FIRST, _RAISE = 1, 8  # of the counts


class _Learned:
    """How often each label followed each; the last row is for patches without a guess."""

    def __init__(self, num_labels: int) -> None:
        self._counts = np.full((num_labels + 1, num_labels), _FIRST, np.int64)

    def frequencies(self, guess: int) -> NDArray[np.int64]:
        """Return the row of a guess, ``(1, labels)``."""
        counts = self._counts[guess]
        frequencies = 1 + counts * (TOTAL - len(counts)) // counts.sum()
        frequencies[frequencies.argmax()] += TOTAL - frequencies.sum()
        return np.asarray(frequencies[None])

    def learn(self, guess: int, label: int) -> None:
        """Count a label."""
        self._counts[guess, label] += _RAISE


def write_labels(writer: SymbolWriter, labels: NDArray[np.uint8]) -> None:
    """Write the labels of the patches of sub-tiles, ``(S, K)``."""
    known = np.unique(labels)
    writer.write(np.array([len(known) - 1]), even_frequencies(256))
    writer.write(known, np.repeat(even_frequencies(256), len(known), axis=0))
    symbols, learned, rows = np.searchsorted(known, labels), _Learned(len(known)), []
    for subtile, of_subtile in enumerate(symbols):
        for patch, symbol in enumerate(of_subtile):
            guess = int(symbols[subtile - 1, patch]) if subtile else len(known)
            rows.append(learned.frequencies(guess))
            learned.learn(guess, int(symbol))
    if len(known) > 1:
        writer.write(symbols.ravel(), np.concatenate(rows))


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
            symbols[subtile, patch] = reader.read(learned.frequencies(guess))[0]
            learned.learn(guess, int(symbols[subtile, patch]))
    labels: NDArray[np.uint8] = known[symbols]
    return labels
