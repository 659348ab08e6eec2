# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests on single objects share: their arguments, the objects and the votes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.shape_sets import ShapeSet, load_shape_set
from kpconv_ros.data.shapes import Shape
from kpconv_ros.pipelines.shape_voter import ShapeVoter
from kpconv_ros.shape_checkpoint import load_shape_model


class ShapeTest(NamedTuple):
    """A model and the objects that it is tested on."""

    voter: ShapeVoter
    shape_set: ShapeSet
    description: dict[str, Any]
    """What is needed to repeat it."""

    def run(self) -> Iterator[tuple[Shape, NDArray[np.float32]]]:
        """Yield each object with its probabilities, see :meth:`ShapeVoter.votes_of_shapes`, with a progress bar."""
        shapes = self.shape_set.shapes
        votes = self.voter.votes_of_shapes(shapes)
        yield from tqdm(zip(shapes, votes, strict=True), desc="testing", total=len(shapes), unit="object")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words of a command."""
    parser.add_argument("--model", required=True, help="name of a model for single objects, or its folder")
    parser.add_argument("--root", type=Path, required=True, help="folder of the dataset that it was trained on")
    parser.add_argument("--split", choices=["train", "val", "test"], default="test", help="default %(default)s")
    parser.add_argument("--num-votes", type=int, default=10, help="passes over each object (default %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for scores.json, confusion.csv and confusion.png")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default %(default)s)")


def open_test(args: argparse.Namespace, command: str) -> ShapeTest:
    """Load the model and read the objects that the arguments name.

    Raises:
        CheckpointError: If the model cannot be used.
        DatasetError: If the objects cannot be read, or are of other classes than the model's.
    """
    model = load_shape_model(args.model, args.device)
    shape_set = load_shape_set(model.manifest.data, args.root, [args.split])
    if shape_set.classes != model.manifest.classes:
        raise DatasetError(f"the model has classes {model.manifest.classes}, the dataset {shape_set.classes}")
    description = {
        "data": f"{model.manifest.data}, {len(shape_set.shapes)} objects",
        "model": model.manifest.name,
        "split": args.split,
        "num_votes": args.num_votes,
        "command": f"kpconv-ros {command} --model MODEL --root ROOT --split {args.split} --num-votes {args.num_votes}",
    }
    return ShapeTest(ShapeVoter(model, args.num_votes), shape_set, description)


def format_rows(values: dict[str, float | None]) -> str:
    """Return a line a name for the terminal."""
    return "\n".join(f"{name:<20}{'-' if value is None else f'{value:.3f}':>8}" for name, value in values.items())
