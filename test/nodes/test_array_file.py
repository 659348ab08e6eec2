# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of named arrays."""

import threading

import numpy as np
import pytest

from kpconv_ros.nodes.array_file import write_arrays


def test_a_file_that_could_not_be_written_leaves_the_one_before(tmp_path):
    path = tmp_path / "record.npz"
    write_arrays(path, {"scans": np.arange(3), "no": np.zeros((0, 3))})
    with pytest.raises(TypeError, match="pickle"):
        write_arrays(path, {"scans": np.array([threading.Lock()])})
    with np.load(path) as file:
        assert file["scans"].tolist() == [0, 1, 2] and file["no"].shape == (0, 3)
