# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Triton kernels, on a CUDA device or in Triton's interpreter on the CPU.

The interpreter is chosen for a whole process, before Triton is imported: ``test/kernels/test_gpu_kernels.py`` starts
one for these tests, and without a CUDA device nobody else collects them.
"""

import pytest
import torch
from real_clouds import SOURCES, CloudSource, cloud_source

from kpconv_ros.kernels.choice import is_interpreting

collect_ignore_glob = [] if torch.cuda.is_available() or is_interpreting() else ["test_*.py"]


@pytest.fixture
def device() -> torch.device:
    """Where the kernels run."""
    return torch.device("cpu" if is_interpreting() else "cuda")


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> CloudSource:
    """Random clouds, then those of a real scan."""
    return cloud_source(request)
