# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros test parts``: instance and class mIoU of a KP-FCNN with several heads, on every original point."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from kpconv_ros.evaluation.confusion_files import draw_confusion, write_confusion_csv
from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.evaluation.part_metrics import PartScores
from kpconv_ros.evaluation.shape_test import ShapeTest, add_arguments, format_rows, open_test
from kpconv_ros.pipelines.sphere_classifier import PipelineError

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Test, print a table and write what was asked for."""
    test = open_test(args, "test parts")
    if not test.voter.segments_parts:
        raise PipelineError(f"{args.model}: expected a model that segments parts; for classes there is test classify")
    part_scores, matrix = score_objects(test)
    scores = build_scores(test, part_scores, matrix)
    print(format_rows(scores["miou_by_class"]))
    print(
        f"instance mIoU {scores['instance_miou']:.3f}, class mIoU {scores['class_miou']:.3f}, "
        f"accuracy {scores['accuracy']:.3f}"
    )
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
        write_confusion_csv(matrix, test.shape_set.labels, args.out / "confusion.csv")
        title = f"{scores['model']} on {scores['split']}: instance mIoU {scores['instance_miou']:.3f}"
        draw_confusion(matrix, test.shape_set.labels, args.out / "confusion.png", title)
        print(f"wrote {args.out}/scores.json, confusion.csv, confusion.png")
    return 0


def score_objects(test: ShapeTest) -> tuple[PartScores, ConfusionMatrix]:
    """Segment every object."""
    scores, matrix = PartScores(test.shape_set.num_parts), ConfusionMatrix(len(test.shape_set.labels))
    for shape, probabilities in test.run():
        assert shape.labels is not None
        predicted = probabilities.argmax(axis=1) + 1
        scores.add(shape.category, shape.labels, predicted)
        matrix.add(shape.labels, predicted)
    return scores, matrix


def build_scores(test: ShapeTest, scores: PartScores, matrix: ConfusionMatrix) -> dict[str, Any]:
    """Return the scores with all that is needed to repeat them."""
    by_class = zip(test.shape_set.classes, scores.class_mious(), strict=True)
    return {
        **test.description,
        "instance_miou": scores.instance_miou(),
        "class_miou": scores.class_miou(),
        "accuracy": matrix.accuracy(),
        "miou_by_class": {name: None if math.isnan(value) else value for name, value in by_class},
    }
