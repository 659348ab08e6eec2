# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One trial of a sampler: choose points in both scans of a pair, register them from a wrong guess."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kpconv_ros.evaluation.sampler_pairs import Candidates, Pair
from kpconv_ros.geometry.se3 import invert
from kpconv_ros.registration.sampled import SampledConfig, register_samples
from kpconv_ros.registration.samplers import AllPoints, Sampler, SamplingContext

Array = NDArray[Any]


class Outcome(NamedTuple):
    """What a trial found."""

    rotation: float
    """Angle between estimate and truth, degrees."""
    translation: float
    """Distance between their origins, metres."""
    kept: float
    """Share of the guess's displacement that is left, along it: 0 is none, 1 is a lock to the guess."""
    points: int
    """Points chosen in the source."""
    sample_ms: float
    """Time to choose them, milliseconds; voxels and planes are given."""
    solve_ms: float
    """Time of one registration, milliseconds."""


def draw_error(generator: np.random.Generator, distance: float, degrees: float) -> Array:
    """Draw the error of a guess: normal along and about each axis, ``(4, 4)``."""
    error = np.eye(4)
    error[:3, :3] = Rotation.from_rotvec(np.radians(generator.normal(0.0, degrees, 3))).as_matrix()
    error[:3, 3] = generator.normal(0.0, distance, 3) * [1.0, 1.0, 0.3]  # vehicles jump less than they drive
    return error


class Trial(NamedTuple):
    """What all samplers have in common."""

    pair: Pair
    """Two scans."""
    error: Array
    """Motion by which the guess is wrong, in the target frame, ``(4, 4)``."""
    budgets: Sequence[int]
    """Points to choose in each scan; smaller ones are prefixes of the largest."""
    passes: int
    """How often the source is sampled, at the pose found before."""
    seed: int
    """Of the samplers that draw at random; the two scans draw independently."""


def run_trials(
    samplers: Mapping[str, Sampler], trial: Trial, solver: SampledConfig
) -> dict[tuple[str, int, int], Outcome]:
    """Run all samplers from one guess; :class:`AllPoints` ignores the budgets and runs one pass.

    Returns:
        Outcomes by name of the sampler, budget (0 for all points) and pass (1 is the first).
    """
    return {
        (name, *key): outcome
        for name, sampler in samplers.items()
        for key, outcome in _run_sampler(sampler, trial, solver).items()
    }


def _run_sampler(sampler: Sampler, trial: Trial, solver: SampledConfig) -> dict[tuple[int, int], Outcome]:
    outcomes, pair = {}, trial.pair
    guess, most = trial.error @ pair.T_target_source, max(trial.budgets)
    target, _ = _choose(sampler, pair.target, most, np.eye(4), 2 * trial.seed)
    first, first_ms = _choose(sampler, pair.source, most, guess, 2 * trial.seed + 1)
    is_full = isinstance(sampler, AllPoints)
    for budget in (0,) if is_full else trial.budgets:
        rows, sample_ms, pose = first[: budget or None], first_ms, guess
        fixed = target[: budget or None]
        for number in range(1, 2 if is_full else trial.passes + 1):
            if number > 1:
                rows, sample_ms = _choose(sampler, pair.source, budget, pose, 2 * trial.seed + 1)
            started = time.perf_counter()
            normals = pair.target.surface.normals[fixed]
            pose = register_samples(pair.source.points[rows], pair.target.points[fixed], normals, pose, solver)
            solve_ms = 1e3 * (time.perf_counter() - started)
            outcomes[budget, number] = Outcome(*_compare(pose, pair, trial.error), len(rows), sample_ms, solve_ms)
    return outcomes


def _choose(
    sampler: Sampler,
    scan: Candidates,
    budget: int,
    T_shared_sensor: Array,
    seed: int,  # noqa: N803
) -> tuple[Array, float]:
    """Return rows and milliseconds."""
    context = SamplingContext(scan.surface, T_shared_sensor, torch.Generator().manual_seed(seed))
    started = time.perf_counter()
    rows = sampler.sample(scan.points, budget, context)
    return rows, 1e3 * (time.perf_counter() - started)


def _compare(pose: Array, pair: Pair, error: Array) -> tuple[float, float, float]:
    """Return angle in degrees, distance in metres, and the share of the guess's displacement that is left."""
    gap = invert(pair.T_target_source) @ pose
    angle = float(np.degrees(Rotation.from_matrix(gap[:3, :3]).magnitude()))
    left = pose[:3, 3] - pair.T_target_source[:3, 3]
    displacement = (error @ pair.T_target_source)[:3, 3] - pair.T_target_source[:3, 3]
    kept = float(left @ displacement / max(displacement @ displacement, 1e-12))
    return angle, float(np.linalg.norm(left)), kept
