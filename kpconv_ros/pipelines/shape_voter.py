# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Classes and parts of single objects by voting: the mean of the probabilities of several altered passes.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.2, "As in a voting scheme on model datasets, the
predicted probabilities for each point are averaged"; as in the authors' code, every pass is altered as in training.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.data.shapes import Shape, ShapeAugmentationConfig, ShapeBatch, make_shape, pack_shapes, voxelize_shape
from kpconv_ros.networks.kpcnn import KPCNN
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN
from kpconv_ros.pipelines.sphere_classifier import PipelineError
from kpconv_ros.shape_checkpoint import ShapeModel, load_shape_model

Array = NDArray[Any]
PLAIN = ShapeAugmentationConfig(scale=0.0, flip=(0.0, 0.0, 0.0), jitter=0.0)
BATCH_POINTS = 60_000  # points of the objects of one call of the network, before they are laid on the grid


class ShapeVoter:
    """Runs a network on single objects; the same objects and seed give the same probabilities."""

    def __init__(self, model: ShapeModel, num_votes: int = 1, seed: int = 0) -> None:
        """Take a loaded model.

        Args:
            model: Of either kind.
            num_votes: Passes over each object. The first sees it as it is, the others altered.
            seed: Of the alterations.

        Raises:
            PipelineError: If there is no vote.
        """
        if num_votes < 1:
            raise PipelineError(f"num_votes: expected 1 or more, got {num_votes}")
        self.manifest, self.network = model.manifest, model.network.eval()
        self.num_votes, self.seed = num_votes, seed
        self.device = next(self.network.parameters()).device

    @property
    def segments_parts(self) -> bool:
        """Whether the network segments the parts of objects, not classifies them."""
        return isinstance(self.network, PartKPFCNN)

    @classmethod
    def from_pretrained(cls, name: str | Path, num_votes: int = 1, device: str = "auto") -> "ShapeVoter":
        """Load a model.

        Args:
            name: Name of a model, or path of its folder.
            num_votes: Passes over each object.
            device: "auto" is CUDA where there is one; else a torch device.

        Raises:
            CheckpointError: If it cannot be loaded.
        """
        return cls(load_shape_model(name, device), num_votes)

    def classify(self, clouds: Sequence[Array]) -> Array:
        """Return the probability of each object class, ``(S, C)`` float32.

        Args:
            clouds: Points of each object, ``(P, 3)``, in any unit and place.

        Raises:
            PipelineError: If the model is one for parts.
            ShapeError: If an object has no points, or one that is not finite.
        """
        if not isinstance(self.network, KPCNN):
            raise PipelineError("expected a model that classifies objects, got one that segments their parts")
        shapes = [make_shape(cloud, 0) for cloud in clouds]
        return np.concatenate([np.zeros((0, len(self.manifest.classes)), np.float32), *self.votes_of_shapes(shapes)])

    def segment_parts(self, points: Array, category: int) -> Array:
        """Return the probability of each part for every point of an object, ``(P, C)`` float32.

        Args:
            points: ``(P, 3)``, in any unit and place.
            category: The object's class; parts of others get 0.

        Raises:
            PipelineError: If the model is one that classifies, or does not know the class.
            ShapeError: If there are no points, or one is not finite.
        """
        if not isinstance(self.network, PartKPFCNN):
            raise PipelineError("expected a model that segments the parts of objects, got one that classifies them")
        if not 0 <= category < len(self.manifest.classes):
            raise PipelineError(f"category: expected 0 to {len(self.manifest.classes) - 1}, got {category}")
        return next(self.votes_of_shapes([make_shape(points, category)]))

    def votes_of_shapes(self, shapes: Sequence[Shape]) -> Iterator[Array]:
        """Yield the mean probabilities of each object in order: ``(1, C)`` of its classes, or ``(P, C)`` of parts."""
        for first, last in _full_batches([len(shape.points) for shape in shapes]):
            votes = [self._run(shapes[first:last], first, vote) for vote in range(self.num_votes)]
            yield from (np.stack(of_shape).mean(axis=0) for of_shape in zip(*votes, strict=True))

    @torch.inference_mode()
    def _run(self, shapes: Sequence[Shape], first: int, vote: int) -> list[Array]:
        """Return the probabilities of each object in one pass; ``first`` is the number of the first object."""
        sizes = (self.manifest.voxel_size, self.manifest.features, self.manifest.augmentation if vote else PLAIN)
        voxels = [
            voxelize_shape(shape, *sizes, np.random.default_rng([self.seed, first + index, vote]))
            for index, shape in enumerate(shapes)
        ]
        batch = ShapeBatch(*(tensor.to(self.device) for tensor in pack_shapes(voxels)))
        if isinstance(self.network, KPCNN):
            logits, counts = self.network(*batch[:3]), len(shapes) * [1]
        else:
            logits, counts = self.network(*batch[:4]), batch.lengths.tolist()
        probabilities = [part.numpy() for part in logits.float().softmax(1).cpu().split(counts)]
        if isinstance(self.network, KPCNN):
            return probabilities
        return [part[one.voxel_of_point.numpy()] for part, one in zip(probabilities, voxels, strict=True)]


def _full_batches(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges of objects of up to :data:`BATCH_POINTS` points, or a single larger one."""
    first = 0
    while first < len(counts):
        last = first + 1
        while last < len(counts) and sum(counts[first : last + 1]) <= BATCH_POINTS:
            last += 1
        yield first, last
        first = last
