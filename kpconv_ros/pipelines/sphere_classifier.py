# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network on spheres: features in, class probabilities out, on the network's own device."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpconv_ros.kernels.choice import takes_triton
from kpconv_ros.layers.low_precision import has_bfloat16
from kpconv_ros.mapping.features import COLOR_NAMES, build_device_features, build_features
from kpconv_ros.mapping.sphere import PickedSphere
from kpconv_ros.networks.kpfcnn import KPFCNN

if TYPE_CHECKING:
    from kpconv_ros.checkpoint import Model  # it needs PyYAML and safetensors
    from kpconv_ros.mapping.device_sphere_voting import SphereBatch  # it needs Triton

Array = NDArray[Any]
MEASUREMENTS_KEPT = 5
"""The cost of a point is the median of this many calls: one slow call, as the first is, does not shift it for long."""


GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
"""Multiples of it are spread evenly over the circle, however many there are."""


class PipelineError(ValueError):
    """Something that a pipeline cannot take; the message says what was expected and what came."""


class SphereClassifier:
    """Runs the network on several spheres at once and knows what a point costs."""

    def __init__(
        self,
        model: Model,
        bf16: bool = False,
        clock: Callable[[], float] = time.perf_counter,
        has_colors: bool = False,
    ) -> None:
        """Wrap a loaded model.

        Args:
            model: Network with its manifest, on its device.
            bf16: Multiply matrices in bfloat16 if the device has instructions for it.
            clock: Returns seconds.
            has_colors: Whether the spheres will have colours; those of a map of scans have none.

        Raises:
            PipelineError: If the network needs colours and there will be none.
        """
        colors = [name for name in model.manifest.features if name in COLOR_NAMES]
        if colors and not has_colors:
            raise PipelineError(
                f"model {model.manifest.name}: expected features that a map of scans has, got {', '.join(colors)}: "
                "this network was trained on coloured clouds"
            )
        self.manifest = model.manifest
        self.network = model.network.eval()
        self.num_classes = len(model.manifest.classes) - 1
        parameter = next(self.network.parameters(), None)
        self.device = torch.device("cpu") if parameter is None else parameter.device
        self._bf16 = bf16 and has_bfloat16(self.device)
        self._run: Callable[[Tensor, Tensor, Tensor], Tensor] = self.network
        self._free = _nothing
        if isinstance(self.network, KPFCNN) and takes_triton(torch.empty(0, device=self.device)):
            from kpconv_ros.pipelines.captured_network import CapturedNetwork

            captured = CapturedNetwork(self.network, torch.bfloat16 if self._bf16 else torch.float32)
            self._run, self._free = captured, captured.free
        self.most_spheres: int | None = None
        """Spheres that fit into the device's memory at once, where more once did not."""
        self._clock = clock
        self._seconds_per_point: deque[float] = deque(maxlen=MEASUREMENTS_KEPT)
        self.restart()

    def restart(self) -> None:
        """Turn the next spheres as the first ones were."""
        self._num_turned = 0

    def affordable_points(self, seconds: float) -> float:
        """Return how many points can be run in ``seconds``; 0 as long as nothing was measured."""
        return seconds / statistics.median(self._seconds_per_point) if self._seconds_per_point else 0.0

    def scale_intensity(self, intensity: Array | None, num_points: int, scale: float = 0.0) -> Array:
        """Bring raw intensities (N,) to 0..1; what is missing or not finite becomes 0.

        Args:
            intensity: ``(N,)``, or None.
            num_points: N.
            scale: Raw intensity that counts as 1; 0 for the model's.

        Raises:
            PipelineError: If there are not as many as points.
        """
        if intensity is None:
            return np.zeros(num_points, np.float32)
        raw = np.asarray(intensity, np.float32)
        if raw.shape != (num_points,):
            raise PipelineError(f"intensity: expected shape ({num_points},), got {raw.shape}")
        if scale:
            raw = raw * np.float32(self.manifest.intensity_scale / scale)
        scaled = np.nan_to_num(raw / np.float32(self.manifest.intensity_scale), nan=0.0, posinf=1.0, neginf=0.0)
        return np.asarray(np.clip(scaled, 0.0, 1.0))

    @torch.inference_mode()
    def classify(self, spheres: Sequence[PickedSphere], ground_z: float) -> list[Array]:
        """Run the network.

        Each sphere is turned about the vertical by another angle, every other one mirrored: as the authors' code does
        at test time too, the votes of a place come from several views of it.

        Args:
            spheres: One packed batch.
            ground_z: Height of the ground under the sensor, metres, map frame.

        Returns:
            For each sphere the class probabilities ``(M, C)`` float32.

        Raises:
            PipelineError: If the network does not give one row of C logits a point, or a sphere alone does not fit into
                the memory of the device.
        """
        started = self._clock()
        counts = [len(picked.sphere.points) for picked in spheres]
        points = torch.from_numpy(np.concatenate([self._turn(picked.sphere.points) for picked in spheres]))
        features = torch.from_numpy(np.concatenate([self._features(picked, ground_z) for picked in spheres]))
        probabilities = self._classify(points.to(self.device), counts, features.to(self.device)).cpu().numpy()
        self._seconds_per_point.append((self._clock() - started) / max(sum(counts), 1))
        return np.split(probabilities, np.cumsum(counts)[:-1])

    @torch.inference_mode()
    def classify_batch(self, batch: SphereBatch, ground_z: float) -> Tensor:
        """Do as :meth:`classify` with spheres that are on the device: probabilities ``(M, C)`` float32 there.

        Waits for them, to know what a point costs.
        """
        started = self._clock()
        heights = (batch.centers[:, 2] - ground_z).float()[batch.spheres] + batch.points[:, 2]
        features = build_device_features(self.manifest.features, heights, batch.intensity, batch.ranges)
        probabilities = self._classify(self._turn_batch(batch), batch.sizes, features)
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()
        self._seconds_per_point.append((self._clock() - started) / max(sum(batch.sizes), 1))
        return probabilities

    def _classify(self, points: Tensor, counts: list[int], features: Tensor) -> Tensor:
        lengths = torch.tensor(counts, dtype=torch.int64, device=self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            logits = self._run_in_memory(points, lengths, features)  # (sum M, C)
        if logits.shape != (sum(counts), self.num_classes):
            expected = (sum(counts), self.num_classes)
            raise PipelineError(f"network output: expected shape {expected}, got {tuple(logits.shape)}")
        return torch.softmax(logits.float(), dim=1)

    def _run_in_memory(self, points: Tensor, lengths: Tensor, features: Tensor) -> Tensor:
        """Run the network; a batch that does not fit into the device's memory is halved, and so are the next ones."""
        if self.most_spheres is not None and len(lengths) > self.most_spheres:
            return self._run_halves(points, lengths, features)
        try:
            return self._run(points, lengths, features)
        except torch.OutOfMemoryError as error:
            if len(lengths) < 2:
                raise PipelineError(
                    f"a sphere of {len(points)} points: expected one that fits into the memory of {self.device}, "
                    f"got {error}: fewer max_sphere_points need less"
                ) from error
        self.most_spheres = len(lengths) // 2
        self._free()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return self._run_halves(points, lengths, features)

    def _run_halves(self, points: Tensor, lengths: Tensor, features: Tensor) -> Tensor:
        spheres = [len(lengths) // 2, len(lengths) - len(lengths) // 2]
        rows = [int(lengths[: spheres[0]].sum()), int(lengths[spheres[0] :].sum())]
        halves = zip(points.split(rows), lengths.split(spheres), features.split(rows), strict=True)
        return torch.cat([self._run_in_memory(*half) for half in halves])

    def _turn(self, points: Array) -> Array:
        angle, mirror = self._num_turned * GOLDEN_ANGLE, 1 - 2 * (self._num_turned % 2)
        self._num_turned += 1
        cosine, sine = math.cos(angle), math.sin(angle)
        turn = np.array([[cosine, sine, 0], [-sine * mirror, cosine * mirror, 0], [0, 0, 1]], np.float32)
        return np.asarray(points @ turn)

    def _turn_batch(self, batch: SphereBatch) -> Tensor:
        """Turn each sphere as :meth:`_turn` does; the angles are computed where they are needed."""
        turns = torch.arange(self._num_turned, self._num_turned + len(batch.sizes), device=self.device)
        self._num_turned += len(batch.sizes)
        angles, mirrors = turns.double() * GOLDEN_ANGLE, (1 - 2 * (turns % 2)).float()
        cosine, sine, mirror = (
            values[batch.spheres] for values in (angles.cos().float(), angles.sin().float(), mirrors)
        )
        x, y, z = batch.points.unbind(1)
        return torch.stack([x * cosine - y * sine * mirror, x * sine + y * cosine * mirror, z], dim=1)

    def _features(self, picked: PickedSphere, ground_z: float) -> Array:
        height = picked.sphere.points[:, 2] + np.float32(picked.center[2] - ground_z)
        sphere = picked.sphere
        return build_features(self.manifest.features, height, sphere.intensity, sphere.ranges, sphere.colors)


def _nothing() -> None:
    """Free what a plain network holds beside its weights."""
