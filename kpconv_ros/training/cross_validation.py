# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros cross-validate``: a training for each published fold of a dataset, its voting test, and their one score.

For S3DIS that is the 6-fold score of Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, Table 7: each area is
labelled by a network that was trained on the other five, and the scores are those of the points of all areas together.
A second call takes up what was trained and scored before; several machines may share the folds and the folder.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kpconv_ros.checkpoint import load_model
from kpconv_ros.config_io import ConfigError, config_to_mapping
from kpconv_ros.data.datasets import DATASETS, Dataset
from kpconv_ros.data.posed_clouds import static_clouds
from kpconv_ros.evaluation.confusion_files import read_confusion_csv
from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.evaluation.voting_command import CloudSet, build_scores, match_classes, run_test, write_scores
from kpconv_ros.pipelines.cloud_voter import CloudVoter, CloudVoterConfig
from kpconv_ros.training.loop_config import load_changed_config
from kpconv_ros.training.processes import process_group, process_rank
from kpconv_ros.training.segment import train_segment
from kpconv_ros.training.segment_config import SegmentTrainingConfig

SET_BY_FOLDS = ("sequences", "splits", "test_area", "validation_sequences", "validate_every")
"""Fields of the training that its fold decides, or that would look at what the fold leaves out."""
OF_MACHINE = ("root", "cache", "prepare_processes", "device", "num_threads")
"""Fields that may differ between machines that share the folds."""
ASKED = "asked.json"  # what the scores beside it answer; written last
VOTER = CloudVoterConfig()


class Fold(NamedTuple):
    """One training and what it is tested on."""

    name: str
    config: SegmentTrainingConfig
    left_out: tuple[str, ...]
    """Clouds that it is tested on; it is trained on all others of the dataset."""
    out: Path
    """Folder of the training; its scores are in ``scores``."""

    @property
    def model(self) -> Path:
        """Folder of the trained model."""
        return self.out / self.config.name

    @property
    def scores(self) -> Path:
        """Folder of ``scores.json``, ``confusion.csv`` and ``confusion.png``."""
        return self.out / "scores"

    def questions(self, voter: CloudVoterConfig) -> dict[str, Any]:
        """Return what the scores depend on."""
        training = config_to_mapping(self.config)
        for name in OF_MACHINE:
            del training[name]
        return {"training": training, "left_out": list(self.left_out), "voter": config_to_mapping(voter)}

    def is_scored(self, voter: CloudVoterConfig) -> bool:
        """Whether a call before trained and scored it in the same way."""
        file = self.scores / ASKED
        return file.is_file() and bool(json.loads(file.read_text(encoding="utf-8")) == self.questions(voter))


def folds_of(config: SegmentTrainingConfig, out: Path) -> list[Fold]:
    """Return the folds of the dataset that ``config`` names.

    Raises:
        ConfigError: If it has no published folds, or ``config`` sets what they decide.
        DatasetError: If there is no cloud of a fold.
    """
    dataset = _dataset_of(config)
    for name in SET_BY_FOLDS:
        default = type(config).__dataclass_fields__[name].default
        if getattr(config, name) != default:
            raise ConfigError(f"{name}: expected {default!r}, as the folds decide it, got {getattr(config, name)!r}")
    folds = []
    for name in dataset.folds:
        of_fold, root = dataset.fold(name), Path(config.root)
        trained_on, left_out = (tuple(of_fold.names(root, split)) for split in ("train", "test"))
        folds.append(Fold(name, replace(config, sequences=trained_on), left_out, out / name))
    return folds


def _dataset_of(config: SegmentTrainingConfig) -> Dataset:
    with_folds = {name: dataset for name, dataset in DATASETS.items() if dataset.folds}
    if config.data not in with_folds:
        raise ConfigError(f"data: expected a dataset with published folds, {', '.join(with_folds)}, got {config.data}")
    return with_folds[config.data]


def score_fold(fold: Fold, voter: CloudVoterConfig) -> None:
    """Test a trained fold by voting on the clouds that it left out, and write its scores."""
    dataset, root = _dataset_of(fold.config), Path(fold.config.root)
    model = load_model(str(fold.model), fold.config.device)
    cloud_set = CloudSet(list(fold.left_out), dataset.classes, static_clouds(dataset, root, fold.left_out))
    label_of_label = match_classes(model.manifest.classes, dataset.classes)
    (fold.scores / ASKED).unlink(missing_ok=True)
    totals = run_test(CloudVoter(model, voter), cloud_set, label_of_label, None)
    scores = {**build_scores(totals, cloud_set, dataset.name, str(fold.model)), "split": fold.name}
    write_scores(scores, totals.matrix, dataset.classes, fold.scores)
    text = json.dumps(fold.questions(voter), indent=1)
    (fold.scores / ASKED).write_text(text + "\n", encoding="utf-8")


def add_up(folds: Sequence[Fold], classes: Sequence[str]) -> tuple[ConfusionMatrix, list[dict[str, Any]]]:
    """Return the counts of all folds together and the scores of each."""
    total, scores = ConfusionMatrix(len(classes)), []
    for fold in folds:
        _, matrix = read_confusion_csv(fold.scores / "confusion.csv")
        total.add_counts(matrix.counts)
        scores.append({"fold": fold.name, **scores_of(matrix, classes)})
    return total, scores


def scores_of(matrix: ConfusionMatrix, classes: Sequence[str]) -> dict[str, Any]:
    """Return what the table shows of a matrix."""
    return {
        "miou": matrix.miou(),
        "class_accuracy": matrix.class_accuracy(),
        "accuracy": matrix.accuracy(),
        "iou": matrix.iou_by_class(classes),
        "num_points": int(matrix.counts.sum()),
    }


def format_folds(scores: dict[str, Any]) -> str:
    """Return the table in percent: a row a class, a column a fold, all of them together in the last."""
    columns = [*scores["folds"], {**scores, "fold": "all"}]
    means = {"mIoU": "miou", "mean class recall": "class_accuracy", "accuracy": "accuracy"}
    rows = [[name, *(_percent(column["iou"][name]) for column in columns)] for name in scores["iou"]]
    rows += [[name, *(_percent(column[key]) for column in columns)] for name, key in means.items()]
    head = ["IoU", *(column["fold"] for column in columns)]
    return "\n".join(f"{name:<20}" + "".join(f"{value:>9}" for value in values) for name, *values in [head, *rows])


def _percent(share: float | None) -> str:
    return "-" if share is None or math.isnan(share) else f"{100 * share:.1f}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of SegmentTrainingConfig")
    parser.add_argument("--root", required=True, help="folder of the dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder for trainings and scores")
    parser.add_argument("--folds", nargs="+", metavar="FOLD", help="train and score these now; default all")
    parser.add_argument(
        "--num-votes", type=int, default=VOTER.num_votes, help="tests of each voxel, at least (default %(default)s)"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other fields, in YAML")


def run(args: argparse.Namespace) -> int:
    """Train and score what is missing; print the table of what is scored and write it."""
    config = load_changed_config(SegmentTrainingConfig, args.config, args.set, {"root": args.root})
    voter, folds = replace(VOTER, num_votes=args.num_votes), folds_of(config, args.out)
    chosen = args.folds or [fold.name for fold in folds]
    for name in chosen:
        _dataset_of(config).fold(name)  # an unknown one is an error before the first training
    missing = [fold for fold in folds if fold.name in chosen and not fold.is_scored(voter)]
    with process_group(config.device):  # of all trainings; the voting tests run in the first process alone
        is_first = process_rank() == 0
        for fold in missing:
            train_segment(fold.config, fold.out)
    if not is_first:
        return 0
    for fold in missing:
        score_fold(fold, voter)
    report([fold for fold in folds if fold.is_scored(voter)], len(folds), args)
    return 0


def report(scored: Sequence[Fold], num_folds: int, args: argparse.Namespace) -> None:
    """Print the table of the folds that are scored, and write it and the matrix of all their points."""
    dataset = _dataset_of(scored[0].config)
    matrix, of_folds = add_up(scored, dataset.classes)
    settings = f" --set {' '.join(args.set)}" if args.set else ""
    scores = {
        "data": f"{dataset.name}, {sum(len(fold.left_out) for fold in scored)} clouds; labels of every original point",
        "model": scored[0].config.name,
        "split": f"{len(scored)} of {num_folds} folds",
        **scores_of(matrix, dataset.classes),
        "folds": of_folds,
        "command": f"kpconv-ros cross-validate --config config/{args.config.name} --root ROOT --out OUT "
        f"--num-votes {args.num_votes}{settings}",
    }
    write_scores(scores, matrix, dataset.classes, args.out)
    print(format_folds(scores))
    if len(scored) < num_folds:
        print(f"{len(scored)} of {num_folds} folds are scored: the last column is no score of {dataset.name} yet")
    print(f"wrote {args.out}/scores.json, confusion.csv, confusion.png")
