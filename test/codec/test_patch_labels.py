# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels of patches come back, and cost little where neighbouring sub-tiles agree."""

import numpy as np
import pytest

from kpconv_ros.codec.patch_labels import read_labels, write_labels
from kpconv_ros.codec.range_coder import SymbolReader, SymbolWriter


def pack(labels: np.ndarray) -> bytes:
    writer = SymbolWriter()
    write_labels(writer, labels)
    return writer.finish()


@pytest.mark.parametrize("shape", [(1, 1), (3, 16), (16, 16)])
@pytest.mark.parametrize("num_labels", [1, 2, 9])
def test_labels_come_back(shape: tuple[int, int], num_labels: int) -> None:
    labels = (np.random.default_rng(0).integers(0, num_labels, shape) * 20 + 7).astype(np.uint8)
    assert np.array_equal(read_labels(SymbolReader(pack(labels)), *shape), labels)


def test_labels_that_agree_between_sub_tiles_take_a_fraction_of_the_bytes() -> None:
    generator = np.random.default_rng(1)
    mixed = generator.integers(0, 8, (16, 16)).astype(np.uint8)
    alike = np.repeat(mixed[:1], 16, axis=0)
    assert len(pack(alike)) < 0.45 * len(pack(mixed))
