# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's voting test: spheres in regular places until every point was tested N times, probabilities averaged.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.2; see :mod:`kpconv_ros.mapping.regular_voting`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.checkpoint import Model
from kpconv_ros.data.posed_clouds import PosedCloud, View
from kpconv_ros.mapping.features import COLOR_NAMES
from kpconv_ros.mapping.regular_voting import RegularVoting
from kpconv_ros.mapping.sphere_voting import PickedSphere, SphereVoting, SphereVotingConfig
from kpconv_ros.pipelines.live_segmenter import check_points
from kpconv_ros.pipelines.sphere_classifier import PipelineError, SphereClassifier

Array = NDArray[Any]
MOST_SAMPLES = 100_000
"""Points looked at to find the middle of a cloud."""


@dataclass(frozen=True)
class CloudVoterConfig:
    """How clouds are tested."""

    num_votes: int = 10
    """Tests of each voxel, at least."""
    border_weight: float = 1.0
    """Weight of a vote at the border of its sphere; 1 is the plain mean of the paper, the live map takes 0.05, and
    Tukey's weight in between."""
    max_sphere_points: int = 30_000
    """Most voxels of a sphere; a fuller one keeps those nearest to its centre."""
    sphere_batch: int = 4
    """Spheres in one call of the network."""
    seed: int = 0
    """Of the shifts of the centres; each cloud starts with it."""


@dataclass(frozen=True)
class VotedLabels:
    """The labels of the last view of a cloud."""

    labels: Array
    """``(N,)`` uint8, of the model's classes; 0 only for points that are not finite."""
    confidence: Array
    """``(N,)`` float32, mean probability of the label."""
    num_spheres: int
    """Spheres that the network saw."""
    fewest_tests: int
    """Tests of the voxel that had to be tested and was so least."""


class CloudVoter:
    """Labels whole clouds, of any size that fits into memory as points."""

    def __init__(self, model: Model, config: CloudVoterConfig | None = None) -> None:
        """Take a loaded model.

        Raises:
            PipelineError: If the config has a number that makes no sense.
        """
        self.config = config or CloudVoterConfig()
        if min(self.config.num_votes, self.config.max_sphere_points, self.config.sphere_batch) < 1:
            raise PipelineError(f"num_votes, max_sphere_points, sphere_batch: expected 1 or more, got {self.config}")
        if not 0 < self.config.border_weight <= 1:
            raise PipelineError(f"border_weight: expected a number above 0 up to 1, got {self.config.border_weight}")
        self._classifier = SphereClassifier(model, has_colors=True)

    def label(self, cloud: PosedCloud, on_progress: Callable[[int, int], None] | None = None) -> VotedLabels:
        """Label every point of the last view of a cloud.

        Args:
            cloud: What to label.
            on_progress: Called after each batch with the voxels that have their tests, and all that need them.

        Raises:
            PipelineError: If a shape is wrong, or the network needs intensities or colours that the cloud lacks.
        """
        last = cloud.views[-1]
        voting = self._lay_out(cloud)
        self._classifier.restart()  # the result does not depend on the clouds before
        num_wanted = voting.num_waiting
        num_spheres = 0
        while batch := self._pick_batch(voting):
            for picked, probabilities in zip(batch, self._classifier.classify(batch, cloud.ground_z), strict=True):
                voting.add_votes(picked, probabilities)
            num_spheres += len(batch)
            if on_progress:
                on_progress(num_wanted - voting.num_waiting, num_wanted)
        labels, confidence = voting.label_points(last.points)
        return VotedLabels(labels, confidence, num_spheres, voting.fewest_tests)

    def _lay_out(self, cloud: PosedCloud) -> RegularVoting:
        """Put the views on the voxels of the model; those of the last one need their tests."""
        last = check_points(cloud.views[-1].points)
        spheres = SphereVoting(self._voting_config(), self._classifier.num_classes)
        voting = RegularVoting(spheres, np.random.default_rng(self.config.seed))
        voting.voting.reset(find_middle(last))
        for view in cloud.views:
            intensity, colors = self._attributes_of(view, cloud.name)
            voting.insert(check_points(view.points), intensity, view.sensor, colors)
        voting.start(self.config.num_votes, last if len(cloud.views) > 1 else None)
        return voting

    def _attributes_of(self, view: View, name: str) -> tuple[Array | None, Array | None]:
        """Intensities and colours as they are: the readers bring them to 0..1, for trainings too."""
        features = set(self._classifier.manifest.features)
        if view.intensity is None and "intensity" in features:
            raise PipelineError(f"{name}: expected intensities, which the network needs, got none")
        needs_colors = bool(features.intersection(COLOR_NAMES))
        if view.colors is None and needs_colors:
            raise PipelineError(f"{name}: expected colours, which the network needs, got none")
        return view.intensity, view.colors if needs_colors else None

    def _voting_config(self) -> SphereVotingConfig:
        manifest = self._classifier.manifest
        return SphereVotingConfig(
            voxel_size=manifest.voxel_size,
            sphere_radius=manifest.sphere_radius,
            segment_range=math.inf,
            max_sphere_points=self.config.max_sphere_points,
            max_voxels=1,  # nothing is evicted: the map grows with what is put in
            vote_memory=math.inf,
            min_vote_weight=self.config.border_weight,
            max_count=1 << 24,  # a barycentre of all its points
            potential_memory=math.inf,
            max_potential=math.inf,
        )

    def _pick_batch(self, voting: RegularVoting) -> list[PickedSphere]:
        batch: list[PickedSphere] = []
        while len(batch) < self.config.sphere_batch and (picked := voting.next_sphere()):
            batch.append(picked)
        return batch


def find_middle(points: Array) -> Array:
    """Return a place amid points ``(N, 3)``, metres, ``(3,)`` float64; the origin if none of them is finite."""
    sample = points[:: max(1, -(-len(points) // MOST_SAMPLES))]
    finite = sample[np.isfinite(sample).all(axis=1)]
    return np.asarray(finite.mean(axis=0, dtype=np.float64)) if len(finite) else np.zeros(3)
