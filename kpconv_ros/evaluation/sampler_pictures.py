# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros draw-samples``: the points that samplers choose in one scan, from above, ground and walls apart."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.semantic_kitti import KittiSequence
from kpconv_ros.evaluation.camera import View
from kpconv_ros.evaluation.pictures import dark_figure, draw_view, save_figure
from kpconv_ros.evaluation.sampler_command import make_samplers
from kpconv_ros.evaluation.sampler_pairs import REACH, Candidates, find_candidates
from kpconv_ros.pipelines.patch_sampler import DEFAULT_SAMPLER
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.samplers import SamplingContext

GREY = (0.27, 0.30, 0.33)
KINDS = {"ground": (0.35, 0.75, 1.0), "upright": (1.0, 0.65, 0.1), "other": (0.9, 0.25, 0.6)}
"""Colours of chosen points: |n_z| above 0.8, below 0.3, between."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("root", type=Path, help="folder that holds sequences/")
    parser.add_argument("--sequence", required=True)
    parser.add_argument("--scan", type=int, default=0, help="number of the scan in its sequence")
    parser.add_argument("--samplers", nargs="+", default=["samplenet", "planar_voxel", "fps"], help="a panel each")
    parser.add_argument("--model", default=DEFAULT_SAMPLER, help="name or folder of the learned sampler")
    parser.add_argument("--points", type=int, default=400)
    parser.add_argument("--out", type=Path, required=True, help="picture to write")


def run(args: argparse.Namespace) -> int:
    """Choose and draw."""
    scan = find_candidates(KittiSequence(args.root, args.sequence).scan(args.scan).points)
    samplers = make_samplers(args.model)
    unknown = set(args.samplers) - set(samplers)
    if unknown:
        raise RegistrationError(f"--samplers: expected some of {', '.join(samplers)}, got {', '.join(sorted(unknown))}")
    context = SamplingContext(scan.surface)
    rows = {name: samplers[name].sample(scan.points, args.points, context) for name in args.samplers}
    print(draw_samples(scan, rows, args.out))
    return 0


def draw_samples(scan: Candidates, rows_of_sampler: dict[str, NDArray[np.int64]], path: Path) -> Path:
    """Draw a panel for each sampler.

    Args:
        scan: What was chosen from.
        rows_of_sampler: Rows of the scan by name.
        path: Picture to write.
    """
    figure, panels = dark_figure(len(rows_of_sampler), (6.0 * len(rows_of_sampler), 6.8))
    upright = np.abs(scan.surface.normals[:, 2])
    for axes, (name, rows) in zip(panels, rows_of_sampler.items(), strict=True):
        draw_view(axes, _from_above(scan.points), np.tile(GREY, (len(scan.points), 1)), f"{name}, {len(rows)} points")
        kinds = np.where(upright[rows] > 0.8, 0, np.where(upright[rows] < 0.3, 1, 2))
        chosen = scan.points[rows]
        for kind, color in enumerate(KINDS.values()):
            across, up = chosen[kinds == kind, :2].T
            axes.scatter(across, up, s=16, color=color, linewidths=0, zorder=3)
        axes.set_xlim(-REACH, REACH)
        axes.set_ylim(-REACH, REACH)
    for i, (name, color) in enumerate(KINDS.items()):
        figure.text(0.4 + 0.08 * i, 0.04, name, color=color, fontsize=14)
    return save_figure(figure, path)


def _from_above(points: NDArray[np.float32]) -> View:
    order = np.argsort(points[:, 2], kind="stable")
    return View(points[:, 0].astype(np.float64), points[:, 1].astype(np.float64), order, np.full(len(points), 0.3))
