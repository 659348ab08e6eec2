# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Symbols of known frequencies as few bytes, by the range coder of the ``constriction`` library.

All frequencies are integers of 1 to 2^16 that add up to 2^16, so shares are exact in float32, and encoder and decoder
agree whatever machine they run on.
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from kpconv_ros.codec.error import CodecError

Array = NDArray[Any]
TOTAL = 1 << 16
_WORD = 4  # bytes of a word of constriction
_SPARED = 6  # most bytes at the end that may be spared


class SymbolWriter:
    """Collects symbols."""

    def __init__(self) -> None:
        """Start without any."""
        self._parts: list[tuple[Array, Array]] = []

    def write(self, symbols: Array, frequencies: Array) -> None:
        """Append symbols ``(n,)`` of 0 to A - 1, each with its row of the frequencies ``(n, A)``."""
        self._parts.append((np.asarray(symbols, np.int32), _shares(frequencies)))

    def finish(self) -> bytes:
        """Return the shortest bytes that are read back as what was written."""
        encoder = constriction.stream.queue.RangeEncoder()
        for symbols, shares in self._parts:
            encoder.encode(symbols, _family(), shares)
        whole: bytes = encoder.get_compressed().astype(">u4").tobytes()
        # The coder ends on a whole word. Any number in its last interval does as well: a shorter one, if there is one.
        for length in range(max(len(whole) - _SPARED, 0), len(whole)):
            head = int.from_bytes(whole[:length], "big")
            for number in (head, head + 1):
                if number < 1 << 8 * length and self._is_read(number.to_bytes(length, "big")):
                    return number.to_bytes(length, "big")
        return whole

    def _is_read(self, payload: bytes) -> bool:
        reader = SymbolReader(payload)
        try:
            return all(np.array_equal(reader.read_shares(shares), symbols) for symbols, shares in self._parts)
        except CodecError:
            return False


class SymbolReader:
    """Reads back what a :class:`SymbolWriter` wrote; the reader must know the frequencies."""

    def __init__(self, payload: bytes) -> None:
        """Take all bytes that were written."""
        padded = payload + bytes(-len(payload) % _WORD)
        words = np.frombuffer(padded, ">u4").astype(np.uint32)
        self._decoder = constriction.stream.queue.RangeDecoder(words)

    def read(self, frequencies: Array) -> NDArray[np.int32]:
        """Return a symbol for each row of the frequencies ``(n, A)``, ``(n,)``.

        Raises:
            CodecError: If the bytes cannot have been written with these frequencies.
        """
        return self.read_shares(_shares(frequencies))

    def read_shares(self, shares: NDArray[np.float32]) -> NDArray[np.int32]:
        """As :meth:`read`, with the frequencies over 2^16."""
        try:
            symbols: NDArray[np.int32] = self._decoder.decode(_family(), shares)
        except (ValueError, AssertionError) as error:
            raise CodecError(f"payload: expected symbols of a tile, got other bytes: {error}") from error
        return symbols


def frequencies_of(counts: Array) -> NDArray[np.int32]:
    """Return frequencies, at least 1 and 2^16 in all, for how often symbols occurred, ``(..., A)``."""
    counts = np.asarray(counts, np.float64)
    size = counts.shape[-1]
    shares = (counts + 1e-9) / (counts + 1e-9).sum(-1, keepdims=True)
    frequencies = 1 + np.floor(shares * (TOTAL - size)).astype(np.int64)
    likeliest = frequencies.argmax(-1)[..., None]
    rest = TOTAL - frequencies.sum(-1, keepdims=True)
    np.put_along_axis(frequencies, likeliest, np.take_along_axis(frequencies, likeliest, -1) + rest, -1)
    return np.asarray(frequencies, np.int32)


def even_frequencies(size: int) -> NDArray[np.int32]:
    """Return one row, ``(1, size)``, in which all symbols are about as likely."""
    return frequencies_of(np.ones((1, size)))


def count_bits(symbols: Array, frequencies: Array) -> float:
    """Return the bits that symbols ``(n,)`` take with frequencies ``(n, A)``, but for the end of the bytes."""
    chosen = np.take_along_axis(frequencies, np.asarray(symbols, np.int64)[:, None], 1)
    return float((16.0 - np.log2(chosen)).sum())


def _family() -> Any:
    return constriction.stream.model.Categorical(perfect=False)


def _shares(frequencies: Array) -> NDArray[np.float32]:
    return np.asarray(np.asarray(frequencies, np.float32) / np.float32(TOTAL))
