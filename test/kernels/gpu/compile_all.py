# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compile every Triton kernel to machine code for a compute capability, on any machine; print what each needs.

``python test/kernels/gpu/compile_all.py 90``. The sizes are those of a real network, so that what is compiled is what
a GPU would run. Ends with an error if a kernel was left out or does not compile.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

import torch
import triton

sys.path.insert(0, str(Path(__file__).parent))
from compiler import compiling

from kpconv_ros.kernels import gpu
from kpconv_ros.kernels.gpu import cells, finish, kernel_sum, neighbors, pooling, sampling, soft_projection, voxel_grid
from kpconv_ros.kernels.gpu.hash_table import HashTable
from kpconv_ros.kernels.gpu.sphere_gains import sum_within

HELPERS = {"_influences", "_kernel_points", "_find_ranges", "_look", "_offsets"}
FLOATS = (torch.float32, torch.bfloat16)


def kernels() -> set[str]:
    """Return the names of all kernels of the package."""
    modules = [importlib.import_module(f"{gpu.__name__}.{found.name}") for found in pkgutil.iter_modules(gpu.__path__)]
    items = [item for module in modules for item in vars(module).items()]
    return {name for name, item in items if isinstance(item, triton.JITFunction) and name[0] == "_"} - HELPERS


def call_convolutions(dtype: torch.dtype, channels: int) -> None:
    """Launch forward and backward of the rigid and the deformable layer."""
    lists = kernel_sum.row_lists(torch.zeros(41, dtype=torch.int32), torch.zeros(400, dtype=torch.int32))
    pairs = kernel_sum.Pairs(torch.zeros(40, 3), torch.zeros(50, 3), lists)
    features, weights = (
        torch.zeros(*size, dtype=dtype, requires_grad=True) for size in ((50, channels), (15, channels, 8))
    )
    for points in (torch.zeros(1, 15, 3), torch.zeros(40, 15, 3, requires_grad=True)):
        kernel_sum.kernel_sum(features, weights, pairs, points, 0.1).sum().backward()
    pooling.max_pool(features, lists).sum().backward()
    finish.finish_(features.detach(), torch.zeros(channels), 0.1, features.detach(), torch.zeros(50, dtype=torch.int32))


def call_geometry() -> None:
    """Launch the grids and the searches."""
    points, clouds = torch.zeros(200, 3), torch.zeros(200, dtype=torch.int64)
    keys = cells.find_keys(points, clouds, cells.frame_of(points, clouds, 1), 0.1)
    runs = voxel_grid.group_by_voxel(keys, 100)
    voxel_grid.average_by_voxel(points, runs)
    table = cells.sort_into_cells(points, torch.zeros_like(keys))
    for most in (1, 40, 300):
        neighbors.find_nearest_few(points, keys, table, 0.1, most)
    counts = neighbors.count_neighbors(points, keys, table, 0.1)
    neighbors.list_neighbors(points, keys, table, 0.1, counts, 30)
    held = HashTable.empty(1000, points.device)
    held.claim(torch.zeros_like(keys))
    held.find(torch.zeros_like(keys))
    held.fill(torch.zeros_like(keys))
    places = torch.zeros(200, 3, dtype=torch.float64)
    limit = torch.ones(1, dtype=torch.float64)
    for is_tukey in (True, False):
        sum_within(places[:16], places, clouds, torch.zeros(200), limit, is_tukey)


def call_sampling() -> None:
    """Launch what SampleNet needs."""
    points, starts = torch.zeros(2048, 3), torch.tensor([0, 1024, 2048])
    seeds = torch.zeros(2, 1, dtype=torch.int64)
    for most in (1024, sampling.MOST_POINTS):
        sampling.pick_farthest(points, starts, seeds, torch.ones(2, dtype=torch.int64), 64, most)
    bounds = torch.zeros(2048, dtype=torch.int64)
    for k in (1, 8):
        sampling.find_k_nearest(points, points, bounds, bounds, k)
    inputs = [t.requires_grad_() for t in (torch.zeros(64, 3), torch.zeros(2048, 3), torch.zeros(2048))]
    rows = torch.zeros(64, 8, dtype=torch.int64)
    soft_projection.weigh(*inputs, torch.ones((), requires_grad=True), rows).sum().backward()


def main(capability: int) -> int:
    """Compile all and print a line for each kernel in its last form."""
    with compiling(capability) as compiled:
        call_geometry()
        call_sampling()
        for dtype in FLOATS:
            call_convolutions(dtype, 64)
        call_convolutions(torch.bfloat16, 512)
    for name, kernel in sorted(compiled.items()):
        print(f"{name:16}{kernel.metadata.shared:8} B shared {len(kernel.asm['cubin']):8} B code")
    missing = kernels() - set(compiled)
    if missing:
        print(f"not compiled: {', '.join(sorted(missing))}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
