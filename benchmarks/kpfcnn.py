# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole rigid KP-FCNN at the paper's width on a 4 m sphere: forward of a given pyramid, beside the dense twin.

Both get the same neighbours and folded batch norms, and find the influences in each call. The rows with ``bf16`` run
our matrix products in bfloat16; the peer stays in float32.
"""

import torch
from torch import Tensor

from benchmarks._inputs import VOXEL_SIZE
from benchmarks._layers import dense_network, forget_influences, relative_error, sphere_pyramid
from benchmarks._measure import Side, compare, write_rows
from kpconv_ros.layers.blocks import fold_batch_norms
from kpconv_ros.networks.encoder import DEEP_ENCODER
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig


@torch.inference_mode()
def main() -> None:
    """Measure."""
    torch.manual_seed(0)
    config = KPFCNNConfig(num_classes=19, in_features=2, voxel_size=VOXEL_SIZE, width=128, encoder=DEEP_ENCODER)
    network = KPFCNN(config).eval()
    fold_batch_norms(network)
    twin = dense_network.DenseKPFCNN(network).eval()
    levels = sphere_pyramid(config.radii)
    padded = dense_network.pad_levels(levels)
    hoods = [level.neighborhood for level in levels] + [level.pooling for level in levels if level.pooling]
    features = torch.stack([torch.ones(len(levels[0].points)), levels[0].points[:, 2]], 1)

    def ours(_: object) -> Tensor:
        forget_influences(hoods)
        return network.classify(levels, features)

    def ours_bf16(_: object) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return ours(None)

    def peer(_: object) -> Tensor:
        return twin.classify(padded, features)  # type: ignore[no-any-return]

    truth = peer(None)
    rows = []
    for name, work in {"kpfcnn_forward": ours, "kpfcnn_forward_bf16": ours_bf16}.items():
        logits = work(None).float()
        agreement = float((logits.argmax(1) == truth.argmax(1)).float().mean())
        note = (
            f"levels {'/'.join(str(len(level.points)) for level in levels)}, random weights, relative difference "
            f"{relative_error(logits, truth):.1e}, argmax equal on {100 * agreement:.2f} % of points"
        )
        rows.append(compare(name, Side(work), "dense twin, float32", Side(peer), 7, note=note))
    write_rows("kpfcnn", rows)


if __name__ == "__main__":
    main()
