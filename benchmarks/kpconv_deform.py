# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One deformable KPConv, 64 to 64 channels, 5 cells of radius, on a 4 m sphere: forward, beside the dense twin."""

import torch
from torch import Tensor

from benchmarks._inputs import VOXEL_SIZE
from benchmarks._layers import dense, forget_influences, layer_neighborhood, relative_error
from benchmarks._measure import Side, compare, write_rows
from kpconv_ros.layers.kpconv import DeformableKPConv

CHANNELS = 64


@torch.no_grad()
def main() -> None:
    """Measure."""
    torch.manual_seed(0)
    hood = layer_neighborhood(5.0)
    layer = DeformableKPConv(CHANNELS, CHANNELS, VOXEL_SIZE).eval()
    features = torch.randn(len(hood.supports), CHANNELS)
    padded = dense.pad_lists(hood.lists, len(hood.supports))

    def ours(_: object) -> Tensor:
        forget_influences([hood])
        return layer(features, hood)  # type: ignore[no-any-return]

    def peer(_: object) -> Tensor:
        weights = (layer.weights, layer.offsets.weights, layer.offset_bias, layer.kernel_points, layer.sigma)
        return dense.dense_deformable_kpconv(features, *weights, hood.queries, hood.supports, padded)

    error = relative_error(ours(None), peer(None))
    note = f"{len(padded)} queries x {padded.shape[1]} neighbours, relative difference {error:.1e}"
    row = compare("kpconv_deform_forward_64", Side(ours), "dense twin", Side(peer), 3, 0, note=note)
    write_rows("kpconv_deform", [row])


if __name__ == "__main__":
    main()
