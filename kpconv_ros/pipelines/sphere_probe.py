# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network looked into at one place of a clip: what its blocks answer there, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.checkpoint import Model
from kpconv_ros.data.clips import Clip
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.mapping.features import build_features
from kpconv_ros.networks.pyramid import Level
from kpconv_ros.networks.responses import (
    PlacedKernel,
    block_response,
    find_block,
    placed_kernel,
    receptive_field,
    receptive_radius,
    spread_to_points,
)
from kpconv_ros.pipelines.sphere_classifier import PipelineError

Array = NDArray[Any]


@dataclass(frozen=True)
class ProbedField:
    """An effective receptive field."""

    values: Array
    """Length of the gradient of the response by the features of each voxel, ``(N,)``."""
    place: Array
    """Where the response is, ``(3,)``, metres, relative to the sphere's centre."""
    radius: float
    """Distance beyond which no input can matter, metres."""

    def radius_of_share(self, points: Array, share: float) -> float:
        """Return the distance from the place within which a share of the gradient lies, metres."""
        distances = np.linalg.norm(points - self.place, axis=1)
        order = np.argsort(distances)
        sums = np.cumsum(self.values[order], dtype=np.float64)
        return float(distances[order][np.searchsorted(sums, share * sums[-1])]) if sums[-1] > 0 else 0.0


class SphereProbe:
    """One sphere of a clip, as the network sees it."""

    def __init__(self, model: Model, clip: Clip, place: Array, radius: float | None = None) -> None:
        """Cut the sphere and build its pyramid.

        Args:
            model: Network with its manifest.
            clip: Scans, intensities scaled to 0..1.
            place: ``(3,)``, metres, in the clip's frame; the nearest point of the clip becomes the centre.
            radius: Of the sphere, metres; that of the model's training if None.

        Raises:
            PipelineError: If the clip has no point, or the place is not finite.
        """
        self.manifest, self.network = model.manifest, model.network.eval()
        points = np.concatenate(clip.points)
        if not len(points) or not np.isfinite(place).all():
            raise PipelineError(f"expected points and a finite place, got {len(points)} points and {place}")
        distances = np.square(points - place).sum(1)
        self.center = points[np.nanargmin(distances)]
        """``(3,)``, metres, in the clip's frame."""
        self.device = next(self.network.parameters()).device
        self._cut(clip, points - self.center, radius or self.manifest.sphere_radius)
        lengths = torch.tensor([len(self.features)], device=self.device)
        self.levels: list[Level] = self.network.build_levels(torch.from_numpy(self.points).to(self.device), lengths)

    def _cut(self, clip: Clip, offsets: Array, radius: float) -> None:
        near = np.square(offsets).sum(1) <= radius**2
        sensor_of_point = clip.sensors.repeat([len(scan) for scan in clip.points], axis=0)[near]
        ranges = np.linalg.norm(offsets[near] + self.center - sensor_of_point, axis=1)
        carried = np.stack([np.concatenate(clip.intensities)[near], ranges], axis=1).astype(np.float32)
        inside = torch.from_numpy(offsets[near].astype(np.float32))
        voxels = grid_subsample(
            inside, torch.tensor([len(inside)]), self.manifest.voxel_size, torch.from_numpy(carried)
        )
        assert voxels.features is not None
        self.points: Array = voxels.points.numpy()
        """Voxels relative to the centre, ``(N, 3)``, metres."""
        height = self.points[:, 2] + np.float32(self.center[2] - clip.ground_z[-1])
        features = build_features(self.manifest.features, height, *voxels.features.numpy().T)
        self.features = torch.from_numpy(features).to(self.device)

    @property
    def label(self) -> str:
        """Name of the class that the network gives the centre."""
        with torch.no_grad():  # not inference mode: the pyramid keeps what is found here
            logits = self.network.classify(self.levels, self.features)
        row = int(np.square(self.points).sum(1).argmin())
        return self.manifest.classes[int(logits[row].argmax()) + 1]

    def receptive_field(self, block: int) -> ProbedField:
        """Return the effective receptive field of a block of the encoder at the centre.

        Raises:
            NetworkError: If there is no such block.
        """
        block = find_block(self.network.encoder, block)
        place, values = receptive_field(self.network.encoder, self.levels, self.features, block, torch.zeros(3))
        return ProbedField(values.cpu().numpy(), place.cpu().numpy(), receptive_radius(self.network.config, block))

    @torch.no_grad()
    def activations(self, block: int) -> Array:
        """Return the response of a block at each voxel, ``(N, C)``, as upsampling takes it from the block's level.

        Raises:
            NetworkError: If there is no such block.
        """
        level, response = block_response(self.network.encoder, self.levels, self.features, block)
        return np.asarray(spread_to_points(self.levels, level, response).cpu().numpy())

    def kernel(self, block: int) -> PlacedKernel:
        """Return the kernel of a block at the centre, on the CPU.

        Raises:
            NetworkError: If there is no such block.
        """
        kernel = placed_kernel(self.network.encoder, self.levels, self.features, block, torch.zeros(3))
        points, rigid_points, neighbors, weights = (part.cpu() for part in kernel[:4])
        return PlacedKernel(points, rigid_points, neighbors, weights, kernel.sigma)
