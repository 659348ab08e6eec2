# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros understand ablation``: the same training with several numbers of kernel points, scored on left-out data.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, choose K = 15 by such a study. Seed, steps and spheres are the
same for each K; what is scored are spheres of streets or sequences that no training saw, the same for all.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from kpconv_ros.checkpoint import load_network
from kpconv_ros.data.clips import Clip
from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.evaluation.understanding_pictures import draw_ablation
from kpconv_ros.model_folder import WEIGHTS
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.training.loop_config import load_changed_config
from kpconv_ros.training.segment import SegmentTraining
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import load_clips, make_cutter
from kpconv_ros.training.spheres import AugmentationConfig, Sphere

UNALTERED = AugmentationConfig(
    scale=0.0, jitter=0.0, height=0.0, intensity=0.0, intensity_drop=0.0, thinning=0.0, balance=0.0
)


class AblationRow(NamedTuple):
    """One training."""

    kernel_points: int
    """K."""
    seed: int
    """Of its weights and spheres."""
    parameters: int
    """Weights of the network."""
    miou: float
    """Mean IoU over the voxels of the left-out spheres."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of SegmentTrainingConfig")
    parser.add_argument("--out", type=Path, required=True, help="folder for the trainings, ablation.csv and .png")
    parser.add_argument("--kernel-sizes", type=int, nargs="+", default=[5, 9, 15, 25], help="numbers of kernel points")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a training of each K for each seed")
    parser.add_argument("--root", help="folder of the dataset, in place of the file's")
    parser.add_argument("--sequences", nargs="+", help="sequences to train on, in place of the file's")
    parser.add_argument(
        "--held-out", nargs="+", default=["0", "1"], help="sequences to score; for the simulator seeds below 100"
    )
    parser.add_argument("--spheres", type=int, default=100, help="left-out spheres to score")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other fields, in YAML")


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, score it, and write table and picture."""
    given = {"root": args.root, "sequences": args.sequences}
    changes = {name: value for name, value in given.items() if value}
    config = load_changed_config(SegmentTrainingConfig, args.config, args.set, changes)
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    spheres, clips, rows = cut_held_out(config, args.held_out, args.spheres), load_clips(config), []
    for size, seed in product(args.kernel_sizes, args.seeds):
        changed = replace(config, num_kernel_points=size, seed=seed)
        network = train_network(changed, clips, args.out / f"k{size:02d}_seed{seed}")
        num_parameters = sum(parameter.numel() for parameter in network.parameters())
        rows.append(AblationRow(size, seed, num_parameters, score_spheres(network, spheres)))
        print(f"K = {size}, seed {seed}: mIoU {rows[-1].miou:.3f}", flush=True)
        write_rows(args.out / "ablation.csv", rows)
    title = f"{config.steps} steps of {config.batch_points:,} voxels, {len(spheres)} left-out spheres"
    points = [(row.kernel_points, row.miou) for row in rows]
    print(f"wrote {draw_ablation(points, args.out / 'ablation.png', title)}")
    return 0


def train_network(config: SegmentTrainingConfig, clips: list[Clip], out: Path) -> KPFCNN:
    """Train, or go on where a first call stopped, and return the averaged network as it is exported."""
    out.mkdir(parents=True, exist_ok=True)
    training = SegmentTraining(config, make_cutter(config, clips), out)
    training.train()
    training.export(out / config.name)
    network = load_network(out / config.name / WEIGHTS)
    assert isinstance(network, KPFCNN)
    return network


def cut_held_out(config: SegmentTrainingConfig, held_out: Sequence[str], num_spheres: int) -> list[Sphere]:
    """Cut spheres at random places, not altered, always the same ones.

    Args:
        config: Of the training; what it says of voxels, spheres and features holds here too.
        held_out: Sequences, or seeds of the simulator.
        num_spheres: How many.
    """
    plain = replace(config, augmentation=UNALTERED, weak_labels=1.0, added_clips=0)
    if config.data == "simulator":
        clips = [clip for seed in held_out for clip in load_clips(replace(plain, first_seed=int(seed), num_clips=1))]
    else:
        clips = load_clips(replace(plain, sequences=tuple(held_out)))
    cutter, generator = make_cutter(plain, clips), np.random.default_rng(0)
    return [cutter.cut(generator) for _ in range(num_spheres)]


@torch.inference_mode()
def score_spheres(network: KPFCNN, spheres: Sequence[Sphere]) -> float:
    """Return the mean IoU over the labelled voxels of spheres."""
    matrix = ConfusionMatrix(network.config.num_classes + 1)
    for sphere in spheres:
        logits = network(sphere.points, torch.tensor([len(sphere.points)]), sphere.features)
        matrix.add(sphere.labels.numpy() + 1, logits.argmax(1).numpy() + 1)
    return matrix.miou()


def write_rows(path: Path, rows: Sequence[AblationRow]) -> None:
    """Write the table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(AblationRow._fields)
        writer.writerows([*row[:-1], f"{row.miou:.5f}"] for row in rows)
