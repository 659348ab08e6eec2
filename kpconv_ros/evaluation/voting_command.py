# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros test segment``: the paper's voting test of a model on a dataset, with scores and a submission.

Every original point gets a label. Scores count the points whose truth is known, by the classes of the dataset.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kpconv_ros.checkpoint import load_model
from kpconv_ros.data.datasets import DATASETS, find_dataset
from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.posed_clouds import KITTI_SPLITS, PosedCloud, kitti_clouds, kitti_names, static_clouds
from kpconv_ros.data.scene_splits import NUM_AREAS, s3dis_names
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES
from kpconv_ros.data.submissions import SubmissionWriter
from kpconv_ros.evaluation.confusion_files import draw_confusion, write_confusion_csv
from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.evaluation.score_sequences import format_scores
from kpconv_ros.pipelines.cloud_voter import CloudVoter, CloudVoterConfig

KITTI = "semantickitti"
CONFIG = CloudVoterConfig()


class CloudSet(NamedTuple):
    """What is tested."""

    names: list[str]
    classes: tuple[str, ...]
    """The dataset's, the first is "unlabeled"."""
    clouds: Iterator[PosedCloud]
    """One for each of ``names``, read when it is asked for."""


class Totals(NamedTuple):
    """What a test found."""

    matrix: ConfusionMatrix
    num_points: int
    num_spheres: int
    fewest_tests: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words of the command."""
    parser.add_argument("--model", required=True, help="name of a model, or its folder")
    parser.add_argument("--data", required=True, choices=[KITTI, *DATASETS], help="dataset, in its published layout")
    parser.add_argument(
        "--root", type=Path, required=True, help="folder of the dataset; for SemanticKITTI with sequences/"
    )
    parser.add_argument("--split", choices=["train", "val", "test"], default="val", help="default %(default)s")
    parser.add_argument("--sequences", nargs="+", help="SemanticKITTI: these instead of the split's")
    parser.add_argument("--area", type=int, help=f"S3DIS: test on this area, 1 to {NUM_AREAS}, instead of 5")
    parser.add_argument(
        "--num-votes", type=int, default=CONFIG.num_votes, help="tests of each voxel, at least (default %(default)s)"
    )
    parser.add_argument(
        "--past-frames",
        type=int,
        default=4,
        help="SemanticKITTI: scans joined to each from before (default %(default)s)",
    )
    parser.add_argument("--sensor-height", type=float, default=1.73, help="SemanticKITTI: metres (default %(default)s)")
    parser.add_argument(
        "--border-weight",
        type=float,
        default=CONFIG.border_weight,
        help="weight of a vote at the border of its sphere; 1 is the paper's plain mean (default %(default)s)",
    )
    parser.add_argument("--out", type=Path, help="folder for scores.json, confusion.csv and confusion.png")
    parser.add_argument("--submission", type=Path, metavar="OUT.zip", help="labels for the dataset's online benchmark")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Test, print a table and write what was asked for."""
    cloud_set = open_cloud_set(args)
    model = load_model(args.model, args.device)
    label_of_label = match_classes(model.manifest.classes, cloud_set.classes)
    voter = CloudVoter(model, CloudVoterConfig(num_votes=args.num_votes, border_weight=args.border_weight))
    with contextlib.ExitStack() as stack:
        writer = None
        if args.submission:
            writer = stack.enter_context(SubmissionWriter(args.data, args.submission, cloud_set.names))
        totals = run_test(voter, cloud_set, label_of_label, writer)
    if args.submission:
        print(f"wrote {args.submission}")
    print(
        f"{len(cloud_set.names)} clouds, {totals.num_points:,} points, {totals.num_spheres} spheres, "
        f"each voxel tested {totals.fewest_tests} times or more"
    )
    if not totals.matrix.counts[1:].any():
        print("no truth to score against")
        return 0
    scores = {**build_scores(totals, cloud_set, args.data, args.model), **describe_test(args)}
    print(format_scores(scores))
    if args.out:
        write_scores(scores, totals.matrix, cloud_set.classes, args.out)
        print(f"wrote {args.out}/scores.json, confusion.csv, confusion.png")
    return 0


def open_cloud_set(args: argparse.Namespace) -> CloudSet:
    """Find the clouds that the arguments name.

    Raises:
        DatasetError: If an argument does not go with the dataset, or nothing is there.
        KittiError: If a sequence is missing.
    """
    for word, value, owner in (("--sequences", args.sequences, KITTI), ("--area", args.area, "s3dis")):
        if value is not None and args.data != owner:
            raise DatasetError(f"{word}: expected with --data {owner} only, got it with {args.data}")
    if args.past_frames < 0:
        raise DatasetError(f"--past-frames: expected 0 or more, got {args.past_frames}")
    if args.data == KITTI:
        sequences = args.sequences or KITTI_SPLITS[args.split]
        names = kitti_names(args.root, sequences)
        clouds = kitti_clouds(args.root, sequences, args.past_frames, args.sensor_height)
        return CloudSet(names, KITTI_CLASSES, clouds)
    dataset = find_dataset(args.data)
    names = dataset.names(args.root, args.split) if args.area is None else s3dis_names(args.root, "test", args.area)
    if not names:
        raise DatasetError(f"{args.root}: got no room of area {args.area}, expected some")
    return CloudSet(names, dataset.classes, static_clouds(dataset, args.root, names))


def match_classes(model_classes: Sequence[str], classes: Sequence[str]) -> NDArray[np.uint8]:
    """Return the dataset's label of each label of a model, ``(C + 1,)``, by their names.

    Raises:
        DatasetError: If the dataset lacks a class of the model.
    """
    unknown = [name for name in model_classes[1:] if name not in classes[1:]]
    if unknown:
        raise DatasetError(f"the model has classes {', '.join(unknown)}, the dataset only {', '.join(classes[1:])}")
    return np.array([0, *(list(classes).index(name, 1) for name in model_classes[1:])], np.uint8)


def run_test(
    voter: CloudVoter, cloud_set: CloudSet, label_of_label: NDArray[np.uint8], writer: SubmissionWriter | None
) -> Totals:
    """Label one cloud after the other, with a bar of the voxels of each that have their tests."""
    matrix = ConfusionMatrix(len(cloud_set.classes))
    num_points = num_spheres = 0
    fewest_tests: list[int] = []
    for number, cloud in enumerate(cloud_set.clouds, 1):
        with tqdm(desc=f"{cloud.name} ({number} of {len(cloud_set.names)})", unit="voxel", leave=False) as bar:
            result = voter.label(cloud, functools.partial(_show, bar))
        labels = label_of_label[result.labels]
        if cloud.labels is not None:
            matrix.add(cloud.labels, labels)
        if writer is not None:
            writer.add(cloud.name, labels)
        num_points += len(labels)
        num_spheres += result.num_spheres
        fewest_tests.append(result.fewest_tests)
    return Totals(matrix, num_points, num_spheres, min(fewest_tests, default=0))


def build_scores(totals: Totals, cloud_set: CloudSet, data: str, model: str) -> dict[str, Any]:
    """Return the scores of a model, by name or folder, on clouds of a dataset; what repeats them is to be added."""
    return {
        "data": f"{data}, {len(cloud_set.names)} clouds; labels of every original point",
        "model": Path(model).name,
        "miou": totals.matrix.miou(),
        "class_accuracy": totals.matrix.class_accuracy(),
        "accuracy": totals.matrix.accuracy(),
        "iou": totals.matrix.iou_by_class(cloud_set.classes),
        "num_points": totals.num_points,
        "num_spheres": totals.num_spheres,
        "fewest_tests": totals.fewest_tests,
    }


def describe_test(args: argparse.Namespace) -> dict[str, str]:
    """Return the split and the command that repeats a test."""
    place = f"--sequences {' '.join(args.sequences)}" if args.sequences else f"--split {args.split}"
    place = f"--area {args.area}" if args.area is not None else place
    joined = f" --past-frames {args.past_frames} --sensor-height {args.sensor_height}" if args.data == KITTI else ""
    votes = f"--num-votes {args.num_votes} --border-weight {args.border_weight}"
    command = f"kpconv-ros test segment --model MODEL --data {args.data} --root ROOT {place} {votes}{joined}"
    return {"split": place.removeprefix("--"), "command": command}


def write_scores(scores: dict[str, Any], matrix: ConfusionMatrix, classes: Sequence[str], folder: Path) -> None:
    """Write ``scores.json``, ``confusion.csv`` and ``confusion.png`` into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    write_confusion_csv(matrix, classes, folder / "confusion.csv")
    title = f"{scores['model']} on {scores['split']}: mIoU {scores['miou']:.3f}"
    draw_confusion(matrix, classes, folder / "confusion.png", title)


def _show(bar: Any, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)
