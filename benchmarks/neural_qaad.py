# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NeuralQAAD with 128 patches, all as one grouped computation, beside the same network patch by patch.

The peer runs the whole MLP of each patch on joined codes and points, one patch after the other, as decoders of
AtlasNet's kind do. Codes have 256 numbers as in the paper; neither side keeps gradients. The more points a patch has,
the more of the time are the products of the shared layers, which both sides need.
"""

import sys
from pathlib import Path

import torch

from benchmarks._measure import Side, compare, write_rows
from kpconv_ros.networks.neural_qaad import NeuralQAAD, NeuralQAADConfig

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
from reference import neural_qaad as twin  # noqa: E402

NUM_PATCHES, LATENT_SIZE = 128, 256
SIZES = {"": (1, 16), "_batch_16": (16, 2), "_4096": (1, 32), "_16384": (1, 128)}
"""Clouds, and points of a patch, by the end of the row's name."""


def main() -> None:
    """Measure."""
    rows = []
    for ending, (batch, points) in SIZES.items():
        torch.manual_seed(0)
        network = NeuralQAAD(NeuralQAADConfig(NUM_PATCHES, points, LATENT_SIZE))
        latents = torch.randn(batch, LATENT_SIZE)
        with torch.no_grad():
            difference = float((network(latents) - twin.decode_by_patches(network, latents)).abs().max())
            ours = Side(lambda _, n=network, z=latents: n(z))
            peer = Side(lambda _, n=network, z=latents: twin.decode_by_patches(n, z))
            size = f"{batch} x {NUM_PATCHES * points} points"
            note = f"{size}, largest difference {difference:.1e}"
            name = f"neural_qaad_decode{ending}"
            rows.append(compare(name, ours, "patch by patch", peer, 21, 3, input=size, note=note))
    write_rows("neural_qaad", rows)


if __name__ == "__main__":
    main()
