# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EM-kD of two clouds of 65,536 points, beside the assignment of all points at once, which is extrapolated.

The clouds are voxels of the drive, and the same ones with noise in another order, as a cloud and its reconstruction.
The whole assignment is solved for growing parts of both, cells of coarser k-d trees, so that density and noise stay.
Its time at 65,536 points follows from a power law through these, fitted to the logarithms.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmarks._inputs import load_drive, source
from benchmarks._measure import Row, Side, print_row, write_rows
from kpconv_ros.geometry.assignment import match_exactly
from kpconv_ros.geometry.earth_mover import CELL_SIZE, emkd
from kpconv_ros.geometry.kd_cells import kd_order
from kpconv_ros.geometry.voxel_grid import grid_subsample

NUM_POINTS = 65_536
VOXEL_SIZE = 0.1  # m
NOISE = 0.05  # m
PARTS = {1024: 8, 2048: 4, 4096: 2}
"""How many cells of each size are solved, spread over the cloud."""


def clouds() -> tuple[Tensor, Tensor]:
    """Return both, ``(1, NUM_POINTS, 3)``."""
    generator = np.random.default_rng(0)
    points = torch.from_numpy(np.concatenate([scan.in_map() for scan in load_drive()]))
    voxels = grid_subsample(points, torch.tensor([len(points)]), VOXEL_SIZE).points.numpy()
    one = voxels[generator.choice(len(voxels), NUM_POINTS, replace=False)]
    other = generator.permutation(one) + generator.normal(0, NOISE, one.shape)
    return torch.from_numpy(one).float()[None], torch.from_numpy(other).float()[None]


def time_parts(one: Tensor, other: Tensor, size: int, count: int) -> tuple[float, float]:
    """Return the mean wall and processor time of the exact assignment of ``count`` cells of ``size`` points, in ms."""
    num_cells = one.shape[1] // size
    cells = [cloud[0, kd_order(cloud, num_cells)[0]].view(num_cells, size, 3) for cloud in (one, other)]
    chosen = np.linspace(0, num_cells - 1, count).round().astype(int)
    solve = Side(lambda _: [match_exactly(cells[0][cell][None], cells[1][cell][None]) for cell in chosen])
    wall, cpu = solve.time()
    return wall / count, cpu / count


def extrapolate(times: Sequence[float]) -> tuple[float, float]:
    """Return the time of all points by a power law through those of the parts, and its exponent."""
    growth, factor = np.polyfit(np.log(list(PARTS)), np.log(times), 1)
    return float(np.exp(factor + growth * np.log(NUM_POINTS))), float(growth)


def main() -> None:
    """Measure."""
    one, other = clouds()
    torch.set_num_threads(1)  # the solver has one
    ours = Side(lambda _: emkd(one, other))
    wall, cpu = ours.time()
    walls, cpus = zip(*(time_parts(one, other, size, count) for size, count in PARTS.items()), strict=True)
    (whole, _), (whole_cpu, growth) = extrapolate(walls), extrapolate(cpus)
    measured = ", ".join(f"{size}: {ms:.0f} ms" for size, ms in zip(PARTS, cpus, strict=True))
    row = Row(
        name=f"emkd_{NUM_POINTS}",
        ours_ms=wall,
        peer="full assignment, extrapolated",
        peer_ms=whole,
        ratio=whole / wall,
        ours_peak_mb=ours.peak_mb(),
        peer_peak_mb=None,
        ours_cpu_ms=cpu,
        peer_cpu_ms=whole_cpu,
        cpu_ratio=whole_cpu / cpu,
        rounds=1,
        allocator="default",
        threads=1,
        input=source(),
        note=f"cells of {CELL_SIZE}; processor time of full assignments of {measured}; it grows with n^{growth:.2f}",
    )
    print_row(row)
    print(row.note)
    write_rows("emkd", [row])


if __name__ == "__main__":
    main()
