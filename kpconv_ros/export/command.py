# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros export MODEL --format onnx --out FILE``: write a network for other runtimes, and compare the two."""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kpconv_ros.checkpoint import Manifest, Model
from kpconv_ros.data.clouds import Cloud, read_cloud
from kpconv_ros.data.shape_datasets import MESH_POINTS, read_off, sample_triangles
from kpconv_ros.data.shapes import make_shape, pack_shapes, voxelize_shape
from kpconv_ros.export.description import Description, ExportError, load_described
from kpconv_ros.export.files import WRITERS, ExportedNetwork, load_exported, trace_network
from kpconv_ros.export.inputs import prepare_inputs
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.networks.kpcnn import KPCNN
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.pipelines.segmenter import Segmenter
from kpconv_ros.pipelines.shape_voter import PLAIN
from kpconv_ros.shape_checkpoint import ShapeManifest

TOLERANCE = 1e-4
"""Largest difference of the logits that passes a check."""
CHECK_VOTES = 1e-3
"""Every place of the cloud is seen at least once."""
CHECK_OBJECTS = 3
"""Altered copies of an object in one call."""
CHECK_VOXELS = 20_000
"""Voxels nearest to the middle of the cloud on which weights without a manifest are checked."""


@dataclass
class Comparison:
    """What a check found."""

    difference: float = 0.0
    """Largest difference of the logits."""
    largest: float = 0.0
    """Largest logit."""
    calls: list[int] = field(default_factory=list)
    """Voxels of each call."""

    def add(self, ours: Tensor, theirs: Tensor, num_voxels: int) -> None:
        """Compare the logits of one call."""
        difference = float((ours - theirs).abs().max())
        self.difference = float(np.maximum(self.difference, difference))  # unlike max, keeps NaN
        self.largest = max(self.largest, float(ours.abs().max()))
        self.calls.append(num_voxels)

    @property
    def passes(self) -> bool:
        """Whether the logits are equal to :data:`TOLERANCE`."""
        return self.difference <= TOLERANCE

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"largest difference of the logits {self.difference:.2e} (largest logit {self.largest:.1f}), "
            f"{sum(self.calls):,} voxels in {len(self.calls)} calls"
        )


class ComparingNetwork(nn.Module):
    """A network that runs an exported one beside itself."""

    def __init__(self, network: KPFCNN | KPCNN, exported: ExportedNetwork) -> None:
        """Join the two; nothing is compared yet."""
        super().__init__()
        self.network, self.exported, self.comparison = network, exported, Comparison()

    def forward(self, points: Tensor, lengths: Tensor, features: Tensor) -> Tensor:
        """Return the network's logits."""
        ours: Tensor = self.network(points, lengths, features)
        inputs = prepare_inputs(self.exported.description, points.numpy(), features.numpy(), lengths.numpy())
        self.comparison.add(ours, torch.from_numpy(self.exported.run(inputs)), len(points))
        return ours


@torch.inference_mode()
def compare_on_cloud(
    network: KPFCNN | KPCNN, manifest: Manifest | ShapeManifest | None, exported: ExportedNetwork, cloud: Cloud
) -> Comparison:
    """Run a network and its exported form on a cloud.

    With a manifest on every sphere of the offline pipeline, turned and packed as there, or on the object that the cloud
    is; without one, when the features are not known, on the middle of the cloud with random features.

    Raises:
        ExportError: If the cloud has no finite points.
    """
    both = ComparingNetwork(network, exported)
    points = cloud.points[np.isfinite(cloud.points).all(1)]
    if not len(points):
        raise ExportError(f"cloud: expected finite points, got {len(cloud.points)} others")
    if isinstance(manifest, ShapeManifest):
        compare_on_object(both, manifest, points)
        return both.comparison
    if manifest is not None:
        Segmenter(Model(manifest, cast("KPFCNN", both))).segment(cloud.points, cloud.intensity, CHECK_VOTES)
        return both.comparison
    centered = torch.from_numpy((points - points.mean(0, dtype=np.float64)).astype(np.float32))
    voxels = grid_subsample(centered, torch.tensor([len(centered)]), exported.description.voxel_size).points
    voxels = voxels[voxels.norm(dim=1).argsort()[:CHECK_VOXELS]]
    generator = torch.Generator().manual_seed(0)
    both(voxels, torch.tensor([len(voxels)]), torch.randn(len(voxels), network.config.in_features, generator=generator))
    return both.comparison


def compare_on_object(both: ComparingNetwork, manifest: ShapeManifest, points: NDArray[np.floating]) -> None:
    """Run two networks on an object ``(P, 3)``: as it is, then several that are altered as for a test in one call.

    Raises:
        ShapeError: If there are no points, or one is not finite.
    """
    shape, generator = make_shape(points, 0), np.random.default_rng(0)
    for augmentations in ([PLAIN], CHECK_OBJECTS * [manifest.augmentation]):
        sizes = (manifest.voxel_size, manifest.features)
        batch = pack_shapes([voxelize_shape(shape, *sizes, altered, generator) for altered in augmentations])
        both(batch.points, batch.lengths, batch.features)


def export_network(network: KPFCNN | KPCNN, description: Description, path: Path, file_format: str) -> None:
    """Write a network; the file appears at once or not at all.

    Args:
        network: In evaluation mode.
        description: Of this network.
        path: Ends in ``.FORMAT``.
        file_format: Of :data:`kpconv_ros.export.files.WRITERS`.

    Raises:
        ExportError: If the name ends in something else.
    """
    if path.suffix != f".{file_format}":
        raise ExportError(f"file: expected a name that ends in .{file_format}, got {path}")
    program = trace_network(network, description)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial_{path.name}")
    try:
        WRITERS[file_format](program, description, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", help="name of a model, its folder, or a .safetensors file of weights")
    parser.add_argument("--format", choices=sorted(WRITERS), required=True, help="ONNX or torch.export")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file to write, .onnx or .pt2")
    parser.add_argument("--check", metavar="CLOUD", help="cloud, or object, to compare the file with the network on")


def run(args: argparse.Namespace) -> int:
    """Export, and compare if asked; 1 if the logits differ."""
    network, description, manifest = load_described(args.model)
    read = read_object if isinstance(manifest, ShapeManifest) else read_cloud
    cloud = None if args.check is None else read(Path(args.check))
    export_network(network, description, args.out, args.format)
    print(f"wrote {args.out}, licence of the weights: {description.licence}", file=sys.stderr)
    if cloud is None:
        return 0
    comparison = compare_on_cloud(network, manifest, load_exported(args.out), cloud)
    print(comparison)
    return int(not comparison.passes)


def read_object(path: Path) -> Cloud:
    """Read a single object: points on a mesh (.off), or what :func:`read_cloud` reads.

    Raises:
        CloudError: If it cannot be read.
        DatasetError: If it is a mesh and damaged.
    """
    if path.suffix.lower() != ".off":
        return read_cloud(path)
    return Cloud(sample_triangles(read_off(path), MESH_POINTS, np.random.default_rng(0)))
