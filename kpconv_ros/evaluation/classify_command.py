# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros test classify``: accuracy of a KP-CNN on the objects of a dataset, over all and for each class."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kpconv_ros.evaluation.confusion_files import draw_confusion, write_confusion_csv
from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.evaluation.shape_test import ShapeTest, add_arguments, format_rows, open_test
from kpconv_ros.pipelines.sphere_classifier import PipelineError

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Test, print a table and write what was asked for."""
    test = open_test(args, "test classify")
    if test.voter.segments_parts:
        raise PipelineError(f"{args.model}: expected a model that classifies objects; for parts there is test parts")
    matrix = count_objects(test)
    scores = build_scores(test, matrix)
    print(format_rows(scores["accuracy_by_class"]))
    print(f"accuracy {scores['accuracy']:.3f}, mean over the classes {scores['class_accuracy']:.3f}")
    if args.out:
        write_scores(scores, matrix, test.shape_set.labels, args.out)
        print(f"wrote {args.out}/scores.json, confusion.csv, confusion.png")
    return 0


def count_objects(test: ShapeTest) -> ConfusionMatrix:
    """Classify every object; object class i has label i + 1."""
    matrix = ConfusionMatrix(len(test.shape_set.labels))
    for shape, probabilities in test.run():
        matrix.add([shape.category + 1], probabilities.argmax(axis=1) + 1)
    return matrix


def build_scores(test: ShapeTest, matrix: ConfusionMatrix) -> dict[str, Any]:
    """Return the scores with all that is needed to repeat them."""
    return {
        **test.description,
        "accuracy": matrix.accuracy(),
        "class_accuracy": matrix.class_accuracy(),
        "accuracy_by_class": matrix.accuracy_by_class(test.shape_set.labels),
    }


def write_scores(scores: dict[str, Any], matrix: ConfusionMatrix, names: tuple[str, ...], folder: Path) -> None:
    """Write ``scores.json``, ``confusion.csv`` and ``confusion.png`` into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    write_confusion_csv(matrix, names, folder / "confusion.csv")
    title = f"{scores['model']} on {scores['split']}: accuracy {scores['accuracy']:.3f}"
    draw_confusion(matrix, names, folder / "confusion.png", title, "objects")
