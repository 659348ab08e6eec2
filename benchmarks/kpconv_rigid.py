# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One rigid KPConv, 64 to 64 channels, on a 4 m sphere: forward and backward, beside the dense twin.

Both get the same neighbours. ``..._forward_64`` finds the influences anew in each call, as the dense layer does;
``..._cached`` has them from an earlier layer of the level. ``..._backward_64`` is the backward pass alone (its memory
is that of forward and backward).
"""

import torch
from torch import Tensor

from benchmarks._inputs import VOXEL_SIZE
from benchmarks._layers import dense, forget_influences, layer_neighborhood, relative_error
from benchmarks._measure import Side, compare, write_rows
from kpconv_ros.layers.kpconv import KPConv

CHANNELS = 64


def main() -> None:
    """Measure."""
    torch.manual_seed(0)
    hood = layer_neighborhood(2.5)
    layer = KPConv(CHANNELS, CHANNELS, VOXEL_SIZE)
    features = torch.randn(len(hood.supports), CHANNELS, requires_grad=True)
    gradient = torch.randn(len(hood.queries), CHANNELS)
    padded = dense.pad_lists(hood.lists, len(hood.supports))

    def ours_forward(_: object) -> Tensor:
        forget_influences([hood])
        return layer(features, hood)  # type: ignore[no-any-return]

    def dense_forward(_: object) -> Tensor:
        at = (layer.sigma, hood.queries, hood.supports, padded)
        return dense.dense_kpconv(features, layer.weights, layer.kernel_points, *at)

    def backward(out: Tensor) -> None:
        features.grad = layer.weights.grad = None
        out.backward(gradient)

    note = f"{len(padded)} queries x {padded.shape[1]} neighbours"
    with torch.no_grad():
        error = relative_error(layer(features, hood), dense_forward(None))
        note += f", relative difference {error:.1e}"
        peer = Side(dense_forward)
        rows = [
            compare("kpconv_rigid_forward_64", Side(ours_forward), "dense twin", peer, 9, note=note),
            compare(
                "kpconv_rigid_forward_64_cached",
                Side(lambda _: layer(features, hood)), "dense twin", peer, 9, note=note + ", influences known",
            ),
        ]  # fmt: skip
    peer = Side(backward, lambda: dense_forward(None))
    ours = Side(backward, lambda: ours_forward(None))
    rows.append(compare("kpconv_rigid_backward_64", ours, "dense twin", peer, 7, note=note))
    write_rows("kpconv_rigid", rows)


if __name__ == "__main__":
    main()
