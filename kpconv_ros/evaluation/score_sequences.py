# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros score-sequences``: whole KITTI-layout sequences scored by models that never saw them.

Every scan goes through the live pipeline in order, and its labels are judged as they would be published. With one fold
for each model of a cross validation, the table covers all sequences.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kpconv_ros.checkpoint import Model, load_model
from kpconv_ros.data.semantic_kitti import KittiError, KittiSequence
from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.pipelines.live_segmenter import LiveSegmenter, LiveSegmenterConfig

PIPELINE = LiveSegmenterConfig(time_budget=3.0, segment_range=80.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("root", type=Path, help="folder that holds sequences/")
    parser.add_argument(
        "--fold",
        nargs="+",
        action="append",
        required=True,
        metavar=("MODEL", "SEQUENCE"),
        help="a model and the sequences left out of its training; once for each model",
    )
    parser.add_argument("--time-budget", type=float, default=PIPELINE.time_budget, help="seconds for each scan")
    parser.add_argument("--seed", type=int, default=0, help="seed of the trainings, for the record")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--device", default="auto", help="where the networks run: auto, cpu or cuda")


def run(args: argparse.Namespace) -> int:
    """Score, print a table and write it as JSON."""
    config = LiveSegmenterConfig(time_budget=args.time_budget, segment_range=PIPELINE.segment_range)
    folds: list[dict[str, Any]] = []
    total: ConfusionMatrix | None = None
    classes: tuple[str, ...] = ()
    for name, *sequences in args.fold:
        model = load_model(name, args.device)
        classes = model.manifest.classes
        matrix = ConfusionMatrix(len(classes))
        for sequence in sequences:
            score_sequence(model, KittiSequence(args.root, sequence), config, matrix)
        folds.append({"left_out": sequences, "miou": matrix.miou(), "iou": matrix.iou_by_class(classes)})
        total = ConfusionMatrix(len(classes)) if total is None else total
        total.add_counts(matrix.counts)
    assert total is not None
    report = build_scores(total, classes, folds, args)
    print(format_scores(report))
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def score_sequence(model: Model, sequence: KittiSequence, config: LiveSegmenterConfig, matrix: ConfusionMatrix) -> None:
    """Add the labels of one sequence, scan by scan in order of time, to ``matrix``.

    Raises:
        KittiError: If it has no labels.
    """
    segmenter = LiveSegmenter(model, config)
    for index in tqdm(range(len(sequence)), desc="scoring", unit="scan", leave=False):
        scan = sequence.scan(index)
        if scan.labels is None:
            raise KittiError("expected labels to score against, got none")
        result = segmenter.process(scan.points, scan.intensity, scan.T_map_sensor, scan.stamp)
        matrix.add(scan.labels, result.labels)


def build_scores(
    total: ConfusionMatrix, classes: Sequence[str], folds: list[dict[str, Any]], args: argparse.Namespace
) -> dict[str, Any]:
    """Return the scores with all that is needed to repeat them."""
    words = " ".join(f"--fold MODEL_{i} {' '.join(fold['left_out'])}" for i, fold in enumerate(folds))
    return {
        "data": "SemanticKITTI, first 10 scans of each sequence; labels of every raw point as published",
        "miou": total.miou(),
        "accuracy": total.accuracy(),
        "iou": total.iou_by_class(classes),
        "split": "whole sequences left out; one model for each fold, trained on the other sequences",
        "folds": folds,
        "seed": args.seed,
        "command": f"kpconv-ros score-sequences ROOT {words} --time-budget {args.time_budget}",
    }


def format_scores(report: dict[str, Any]) -> str:
    """Return the table of a report's "iou", "miou" and "accuracy", and of its "folds" where it has them."""
    lines = [f"{name:<20}{'-' if value is None else f'{value:.3f}':>8}" for name, value in report["iou"].items()]
    folds = [f"fold {' '.join(fold['left_out'])}: mIoU {fold['miou']:.3f}" for fold in report.get("folds", [])]
    return "\n".join([*lines, *folds, f"mIoU {report['miou']:.3f}, accuracy {report['accuracy']:.3f}"])
