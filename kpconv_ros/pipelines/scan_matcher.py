# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One scan against the local map: sample, register from coarse to fine, and judge what was found."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.pipelines.odometry_result import OdometryConfig
from kpconv_ros.registration.belief import Weakness, covariance_of, find_weakness, keep_prediction, measure_agreement
from kpconv_ros.registration.samplers import RandomSampler, Sampler, SamplingContext
from kpconv_ros.registration.solver import MIN_POINTS, RegistrationResult, SolverConfig, Target, register
from kpconv_ros.registration.surface import estimate_surface

Array = NDArray[Any]
_LEAST_NOISE = 0.01  # metres; no lidar measures planes better
_JUDGED = 512  # random points tell whether a pose is right, whatever the sampler prefers
_NO_WEAKNESS = Weakness(np.empty((0, 3)), np.empty((0, 3)), 0.0)


class Estimate(NamedTuple):
    """A pose of a scan, and what speaks for it."""

    pose: Array
    """T_map_scan, ``(4, 4)``; motions that the scan does not fix are those of the prediction."""
    covariance: Array
    """``(6, 6)``, translation [m^2] then rotation [rad^2], about the axes of the map."""
    sampled: Array
    """Rows of the scan that were registered, ``(m,)`` int64."""
    agreement: float
    """Share of random points of the scan that lie on the map's planes."""
    weakness: Weakness
    """Motions that the scan does not fix."""
    doubt: str
    """Why not to believe it; empty if nothing speaks against it."""


class Reach(Enum):
    """How far from the prediction a scan is looked for."""

    NEAR = 0
    """Where it leads. Along a street that looks alike, a farther search slips now and then."""
    FAR = 1
    """Within the search distance."""
    WIDE = 2
    """Within three times that."""


class ScanMatcher:
    """Registers scans with a map."""

    def __init__(self, config: OdometryConfig, sampler: Sampler) -> None:
        """Take over settings and the sampler."""
        self.config = config
        self._sampler = sampler
        self.fine = solver_config(config, config.fine_distance, 3e-4, 1e-3)
        self._coarse = solver_config(config, config.search_distance, 1e-3, 1e-2)
        self._wide = solver_config(config, 3 * config.search_distance, 1e-3, 1e-2)

    def match(
        self, points: Array, target: Target, predicted: Array, unfixed: Array, generator: torch.Generator, reach: Reach
    ) -> Estimate:
        """Place a scan in passes, choosing its points anew with each corrected pose.

        Args:
            points: ``(N, 3)`` float32, metres, sensor frame.
            target: The map.
            predicted: Pose from which to start, ``(4, 4)``.
            unfixed: Covariance of motions that the scan does not fix, ``(6, 6)``.
            generator: Of the sampler.
            reach: How far off the prediction may be.
        """
        first = {Reach.NEAR: [self.fine], Reach.FAR: [self._coarse], Reach.WIDE: [self._wide, self._coarse]}[reach]
        passes = [*((self.config.coarse_points, solver) for solver in first), (self.config.num_points, self.fine)]
        pose, sampled, found = predicted, np.empty(0, np.int64), None
        surface = cache(lambda: estimate_surface(points))  # once for all passes, if the sampler asks
        for num_points, solver in passes:
            context = SamplingContext(surface, pose, generator)
            sampled = self._sampler.sample(points, min(num_points, self.config.num_points), context)
            if len(sampled) < MIN_POINTS:
                break
            found = register(points[sampled], target, pose, solver)
            pose = found.T_target_source
        if found is None or len(sampled) < MIN_POINTS:
            doubt = f"the sampler chose {len(sampled)} points, expected at least {MIN_POINTS}"
            return Estimate(predicted, unfixed, sampled, 0.0, _NO_WEAKNESS, doubt)
        judged = RandomSampler().sample(points, _JUDGED, SamplingContext(generator=generator))
        agreement = measure_agreement(points[judged], target, pose)
        return self._judge(found, sampled, agreement, predicted, unfixed)

    def _judge(
        self, found: RegistrationResult, sampled: Array, agreement: float, predicted: Array, unfixed: Array
    ) -> Estimate:
        weakness = find_weakness(found.information, self.config.min_information)
        pose = found.T_target_source
        covariance = covariance_of(found.information, max(found.rmse, _LEAST_NOISE), pose[:3, :3])
        if weakness.is_degenerate:
            pose = keep_prediction(predicted, pose, weakness)
            covariance = covariance + weakness.project(unfixed, pose[:3, :3])
        doubt, least = "", self.config.min_agreement
        if agreement < least:
            doubt = f"{agreement:.2f} of the points lie on the map, expected at least {least}"
        return Estimate(pose, covariance, sampled, agreement, weakness, doubt)


def solver_config(
    config: OdometryConfig, distance: float, rotation_epsilon: float, translation_epsilon: float
) -> SolverConfig:
    """Return the settings of a pass."""
    return SolverConfig(
        max_distance=distance,
        rotation_epsilon=rotation_epsilon,
        translation_epsilon=translation_epsilon,
        num_threads=config.num_threads,
    )
