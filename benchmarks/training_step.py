# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training step of a rigid KP-FCNN: forward and backward of a batch of two spheres, about 20,000 voxels in all.

Both sides start from the same pyramid and find the influences in each call; batch norms normalise by the batch. The row
with ``bf16`` runs our matrix products in bfloat16 where the processor has instructions for it, as the training does;
the peer stays in float32.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks._inputs import VOXEL_SIZE, load_spheres
from benchmarks._layers import dense_network, forget_influences, limited_pyramid, relative_error
from benchmarks._measure import Side, compare, write_rows
from kpconv_ros.layers.low_precision import has_bfloat16
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.pyramid import Level

NUM_CLASSES = 19
SPHERE_RADIUS, SPHERE_POINTS = 2.8, 10_000  # m; voxels that each sphere is chosen to have
WIDTH = 64  # of the shipped models


def gradients(network: nn.Module) -> Tensor:
    """Return the gradients of all parameters in one vector."""
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None])


def main() -> None:
    """Measure."""
    torch.manual_seed(0)
    config = KPFCNNConfig(num_classes=NUM_CLASSES, in_features=2, voxel_size=VOXEL_SIZE, width=WIDTH)
    network = KPFCNN(config).train()
    twin = dense_network.DenseKPFCNN(copy.deepcopy(network)).train()
    points, lengths = load_spheres(2, SPHERE_RADIUS, SPHERE_POINTS)
    levels = limited_pyramid(points, lengths, config.radii)
    padded = dense_network.pad_levels(levels)
    hoods = [level.neighborhood for level in levels] + [level.pooling for level in levels if level.pooling]
    features = torch.stack([torch.ones(len(points)), points[:, 2]], 1)
    labels = torch.randint(0, NUM_CLASSES, (len(points),))

    def step(of_network: nn.Module, pyramid: list[Level] | list[dense_network.DenseLevel]) -> None:
        of_network.zero_grad()
        functional.cross_entropy(of_network.classify(pyramid, features), labels).backward()  # type: ignore[operator]

    def ours(_: object) -> None:
        forget_influences(hoods)
        step(network, levels)

    def ours_bf16(_: object) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            ours(None)

    def peer(_: object) -> None:
        step(twin, padded)

    peer(None)
    truth, rows = gradients(twin), []
    works = {"training_step": ours}
    if has_bfloat16(torch.device("cpu")):
        works["training_step_bf16"] = ours_bf16
    for name, work in works.items():
        work(None)
        note = (
            f"spheres of {' and '.join(map(str, lengths.tolist()))} voxels, width {WIDTH}, "
            f"levels {'/'.join(str(len(level.points)) for level in levels)}, random weights, relative difference of "
            f"the gradients {relative_error(gradients(network), truth):.1e}"
        )
        rows.append(compare(name, Side(work), "dense twin, float32", Side(peer), 7, note=note))
    write_rows("training_step", rows)


if __name__ == "__main__":
    main()
