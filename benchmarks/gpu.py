# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A scan's whole way on a GPU, step by step and in one: times, what the device could do, and the plain torch twin.

``python benchmarks/gpu.py [--scan FILE.bin] [--out FILE]`` needs torch with CUDA, its Triton and NumPy, nothing else;
it writes ``docs/results/gpu.json``. Without a GPU it says so and writes nothing. ``--interpret`` runs every step once,
tiny, on the CPU in Triton's interpreter, and compares the results with the twins.
"""

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
if "--interpret" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

OUT = ROOT / "docs" / "results" / "gpu.json"


def is_able() -> bool:
    """Return whether there is something to measure."""
    if "--interpret" in sys.argv:
        return True
    if not torch.cuda.is_available():
        print("no CUDA device: nothing was measured, nothing is written (--interpret runs the steps on the CPU)")
        return False
    return True


def measure_networks(bench, sphere: Tensor, config) -> None:  # type: ignore[no-untyped-def]
    """Pyramid and forward pass of one sphere, captured, against the dense network on the same pyramid."""
    from benchmarks._gpu_measure import difference
    from kpconv_ros.networks.kpfcnn import KPFCNN
    from kpconv_ros.pipelines.captured_network import CapturedNetwork
    from reference.kpfcnn import DenseKPFCNN, pad_levels  # benchmarks._gpu_steps found the folder

    torch.manual_seed(0)
    network = KPFCNN(config).to(bench.device).eval()
    lengths = torch.tensor([len(sphere)], device=bench.device)
    features = torch.stack([torch.ones_like(sphere[:, 2]), sphere[:, 2]], 1)
    with torch.inference_mode():
        levels = network.build_levels(sphere, lengths)
        padded, twin = pad_levels(levels), DenseKPFCNN(network).eval()
        note = "levels " + "/".join(str(len(level.points)) for level in levels)
        expected = twin.classify(padded, features)
        num_bytes, operations = costs_of(network, levels)
        for dtype in (torch.float32, torch.bfloat16):
            captured = CapturedNetwork(network, dtype)
            out = captured(sphere, lengths, features)
            same = (out.argmax(1) == expected.argmax(1)).float().mean().item()
            name = f"forward_{str(dtype).removeprefix('torch.')}"
            text = f"{note}; ours builds the pyramid too; argmax equal on {100 * same:.2f} % of points"
            bench.add(
                name, lambda run=captured: run(sphere, lengths, features), num_bytes * (1 + (dtype == torch.float32)),
                operations, lambda: twin.classify(padded, features), difference(out, expected), text,
            )  # fmt: skip


def costs_of(network, levels) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Return the least bytes in bfloat16, and the operations, of the convolutions and products of a forward pass."""
    from kpconv_ros.layers.kpconv import DeformableKPConv, KPConv
    from kpconv_ros.layers.low_precision import Linear

    num_bytes = operations = 0.0
    level = 0
    for name, block in zip(network.encoder.names, network.encoder, strict=True):
        strided = name.endswith("strided")
        hood = levels[level].pooling if strided else levels[level].neighborhood
        rows, pairs = len(hood.queries), len(hood.lists.columns)
        for module in block.modules():
            if isinstance(module, KPConv | DeformableKPConv):
                kernels, width, out = module.weights.shape
                operations += 2 * kernels * width * (pairs + rows * out)
                num_bytes += 2 * (2 * rows * kernels * width + len(hood.supports) * width + rows * out) + 4 * pairs
            elif isinstance(module, Linear):
                operations += 2 * rows * module.weight.numel()
                num_bytes += 2 * rows * sum(module.weight.shape)
        level += strided
    for j, unary in enumerate(reversed(network.decoder)):
        operations += 2 * len(levels[j].points) * unary.linear.weight.numel()
        num_bytes += 2 * len(levels[j].points) * sum(unary.linear.weight.shape)
    for linear in (network.head, network.classifier):
        operations += 2 * len(levels[0].points) * linear.weight.numel()
        num_bytes += 2 * len(levels[0].points) * sum(linear.weight.shape)
    return num_bytes, operations


def measure_pyramid(bench, points: Tensor, config) -> None:  # type: ignore[no-untyped-def]
    """All levels of a whole scan: from its points to neighbours, pooling and upsampling."""
    from benchmarks._gpu_steps import RADIUS, VOXEL_SIZE
    from kpconv_ros.kernels.gpu.cells import find_keys, frame_of
    from kpconv_ros.kernels.gpu.voxel_grid import average_by_voxel, first_of_voxel, group_by_voxel
    from kpconv_ros.networks.static_pyramid import Room, build_static_pyramid

    clouds = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    frame, levels = frame_of(points, clouds, 1), config.num_levels
    limits = config.max_neighbors or levels * (40,)
    radii = tuple(RADIUS * VOXEL_SIZE * 2**j for j in range(levels))

    def build(sizes: tuple[int, ...]) -> Tensor:
        runs = group_by_voxel(find_keys(points, clouds, frame, VOXEL_SIZE), sizes[0])
        voxels, of_voxel = average_by_voxel(points, runs), first_of_voxel(clouds, runs, 1)
        room = Room(sizes, limits, limits[:-1])
        return build_static_pyramid(voxels, of_voxel, frame, VOXEL_SIZE, radii, radii[:-1], room).needs

    needs = build(levels * (len(points),)).tolist()
    sizes = tuple(-(-int(1.05 * need) // 128) * 128 for need in needs[:levels])
    run, num_bytes = (lambda: build(sizes)), 12.0 * len(points) + sum(n * (24 + 4 * 2 * 40) for n in needs[:levels])
    if bench.is_gpu:
        run()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        run = graph.replay
    note = f"{len(points)} points, levels {'/'.join(map(str, needs[:levels]))}, neighbours up to {limits[0]}"
    bench.add("pyramid", run, num_bytes, 0, None, None, note)


def measure_scan(bench, scan, config, radius: float) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """From the bytes of a scan to labels, upload and download included."""
    from benchmarks._gpu_scan import RANGE, TESTS, label_message, make_segmenter, message_of
    from kpconv_ros.networks.kpfcnn import KPFCNN

    torch.manual_seed(0)
    segmenter = make_segmenter(KPFCNN(config).to(bench.device).eval(), radius)
    message = message_of(scan)
    if bench.is_gpu:
        torch.cuda.reset_peak_memory_stats()
    result = label_message(segmenter, message)
    note = (
        f"{len(scan)} points, {result.num_voxels} voxels, {result.num_spheres} spheres of {radius} m: each place up to "
        f"{RANGE} m has a weight of {TESTS} or more; {100 * (result.labels > 0).mean():.1f} % labelled"
    )
    size = message.data.nbytes + 5 * len(scan)  # a label and a confidence come back
    row = bench.add("scan_to_labels", lambda: label_message(segmenter, message), size, 0, None, None, note)
    peak = torch.cuda.max_memory_allocated() / 2**20 if bench.is_gpu else 0.0
    return {"scan_to_labels_ms": row.ms, "scans_per_second": 1e3 / row.ms, "peak_memory_mb": peak}


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path, help="scan as float32 rows x, y, z, intensity; made up without it")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file to write")
    parser.add_argument("--interpret", action="store_true", help="every step once, tiny, on the CPU; writes nothing")
    arguments = parser.parse_args(argv)
    if not is_able():
        return 0
    from benchmarks._gpu_measure import Bench
    from benchmarks._gpu_scan import load_scan
    from benchmarks._gpu_steps import VOXEL_SIZE, Scale

    tiny = arguments.interpret
    if tiny:
        from kpconv_ros.pipelines import captured_network

        captured_network.FEWEST_POINTS = 4
    bench = Bench(torch.device("cpu" if tiny else "cuda"))
    scan = load_scan(arguments.scan)
    if tiny:
        scan = tiny_scan()
    results = run_steps(bench, scan, Scale(4, 16, 2, 8, 3, 2) if tiny else Scale(), VOXEL_SIZE, tiny)
    if tiny:
        print("every step ran in Triton's interpreter; its times say nothing and nothing is written")
        return 0
    results |= {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "scan": arguments.scan.name if arguments.scan else "made up",
        "copy_gb_per_s": bench.bytes_per_ms / 1e6,
        "matrix_tflops": bench.operations_per_ms / 1e9,
        "kpconv_ratio": bench.find("kpconv_rigid_float32_forward").ratio,
        "forward_ratio": bench.find("forward_bfloat16").ratio,
        "pyramid_ms": bench.find("pyramid").ms,
        "rows": bench.as_dicts(),
    }
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    print(f"wrote {arguments.out}")
    return 0


def tiny_scan():  # type: ignore[no-untyped-def]
    """Return a few points of a flat patch, as few as the interpreter can work through."""
    import numpy as np

    generator = np.random.default_rng(0)
    size = (7, 4)
    return (generator.uniform(0, 1, size) * (0.2, 0.2, 0.05, 1) + (5, 0, -1, 0)).astype(np.float32)


def run_steps(bench, scan, scale, voxel_size: float, tiny: bool) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """Run every step; the network is the paper's, of its width, unless all is tiny."""
    from benchmarks import _gpu_steps as steps
    from kpconv_ros.networks.encoder import DEEP_ENCODER
    from kpconv_ros.networks.kpfcnn import KPFCNNConfig

    sizes = {"width": 8, "encoder": ("simple", "residual", "strided", "residual"), "max_neighbors": (1, 1)}
    if not tiny:
        sizes = {"width": 128, "encoder": DEEP_ENCODER, "max_neighbors": (40, 40, 40, 40, 40)}
    config = KPFCNNConfig(num_classes=19, in_features=2, voxel_size=voxel_size, **sizes)
    points = torch.from_numpy(scan[:, :3]).contiguous().to(bench.device)
    voxels = steps.measure_grid(bench, points)
    sphere = steps.sphere_of(voxels, scale.sphere_points)
    near = steps.limited_lists(sphere, steps.RADIUS * voxel_size)
    steps.measure_search(bench, sphere, near)
    steps.measure_convolutions(bench, sphere, near, scale.channels)
    steps.measure_passes(bench, sphere, near, scale.channels)
    steps.measure_sampling(bench, scale)
    steps.measure_map(bench, points)
    measure_pyramid(bench, points, config)
    measure_networks(bench, sphere, config)
    return measure_scan(bench, scan, config, 0.2 if tiny else 4.0)


if __name__ == "__main__":
    sys.exit(main())
