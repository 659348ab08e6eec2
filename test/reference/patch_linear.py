# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Linear layers of patches one after the other."""

import torch
from torch import Tensor


def linear_by_patches(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Map ``features (K, n, Cin)`` by ``weight (K, Cin, Cout)`` and ``bias (K, 1, Cout)``: ``(K, n, Cout)``."""
    patches = []
    for patch in range(len(weight)):
        out = (features[patch][:, :, None] * weight[patch]).sum(1)  # (n, Cin, 1) * (Cin, Cout) -> (n, Cout)
        patches.append(out if bias is None else out + bias[patch, 0])
    return torch.stack(patches)
