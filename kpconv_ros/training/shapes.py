# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the trainings on single objects share: their config, their batches and their command.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.1 and supplement A.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from kpconv_ros.config_io import param
from kpconv_ros.data.shape_sets import LICENCES, ShapeData, ShapeSet, load_shape_set
from kpconv_ros.data.shapes import Shape, ShapeAugmentationConfig, ShapeBatch, pack_shapes, voxelize_shape
from kpconv_ros.networks.encoder import PAPER_DEFORMABLE_ENCODER, PAPER_ENCODER
from kpconv_ros.networks.kpcnn import KPCNN
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN
from kpconv_ros.shape_checkpoint import save_shape_model
from kpconv_ros.training.loop import TrainingLoop, run_training
from kpconv_ros.training.loop_config import LoopConfig, load_changed_config

ENCODERS = {"rigid": PAPER_ENCODER, "deformable": PAPER_DEFORMABLE_ENCODER}


@dataclass(frozen=True)
class ShapeTrainingConfig(LoopConfig):
    """One training on single objects."""

    data: ShapeData = param("modelnet40", "dataset")
    root: str = param("", "its folder")
    splits: tuple[str, ...] = param(("train",), "splits to train on")
    voxel_size: float = param(0.02, "cell of the first level, in radii of the object", 0.001, 1.0)
    features: tuple[str, ...] = param(("one",), "input features: one, x, y, z")
    width: int = param(128, "width of the network", 8, 1024)
    encoder: Literal["rigid", "deformable"] = param("rigid", "deformable: in the last five blocks")
    blocks: tuple[str, ...] = param((), "blocks in order, in place of the encoder's")
    batch_points: int = param(40_000, "voxels of a step: objects are added until there are as many", 16)
    norm_momentum: float = param(0.02, "weight of a batch in the statistics of the batch norms", 0.0, 1.0)
    balance: float = param(0.0, "probability that an object is drawn evenly by class, else by object", 0.0, 1.0)
    augmentation: ShapeAugmentationConfig = param(ShapeAugmentationConfig, "how objects are altered")


class ShapeTraining(TrainingLoop[ShapeBatch]):
    """Training of a network on single objects; says how batches are made and how the result is written."""

    config: ShapeTrainingConfig
    network: KPCNN | PartKPFCNN

    def __init__(
        self, config: ShapeTrainingConfig, shape_set: ShapeSet, network: KPCNN | PartKPFCNN, out: Path
    ) -> None:
        """Take the objects to train on, and what :class:`TrainingLoop` takes."""
        self.shape_set = shape_set
        categories = np.array([shape.category for shape in shape_set.shapes])
        self._of_class = [np.flatnonzero(categories == category) for category in np.unique(categories)]
        super().__init__(config, network, out)

    def make_batch(self, index: int) -> ShapeBatch:
        """Draw objects until there are ``batch_points`` voxels."""
        config, generator = self.config, np.random.default_rng([self.config.seed, index % (1 << 32)])
        drawn, num_voxels = [], 0
        while num_voxels < config.batch_points:
            shape = self._draw(generator)
            drawn.append(voxelize_shape(shape, config.voxel_size, config.features, config.augmentation, generator))
            num_voxels += len(drawn[-1].points)
        return pack_shapes(drawn)

    def _draw(self, generator: np.random.Generator) -> Shape:
        rows = np.arange(len(self.shape_set.shapes))
        if generator.random() < self.config.balance:
            rows = self._of_class[generator.integers(len(self._of_class))]
        return self.shape_set.shapes[int(rows[generator.integers(len(rows))])]

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model."""
        manifest = {
            "name": self.config.name,
            "data": self.config.data,
            "classes": self.shape_set.classes,
            "features": self.config.features,
            "augmentation": self.config.augmentation,
            "licence": LICENCES[self.config.data],
        }
        network = self.average.module
        assert isinstance(network, (KPCNN, PartKPFCNN))
        save_shape_model(folder, network, manifest)


ConfigT = TypeVar("ConfigT", bound=ShapeTrainingConfig)


def encoder_sizes(config: ShapeTrainingConfig) -> dict[str, Any]:
    """Return the fields of a network's config that are told by that of the training, all but its classes."""
    return {
        "in_features": len(config.features),
        "voxel_size": config.voxel_size,
        "width": config.width,
        "encoder": config.blocks or ENCODERS[config.encoder],
        "momentum": config.norm_momentum,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a command."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of the training's config")
    parser.add_argument("--root", help="folder of the dataset, in place of the file's")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, losses and the model")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other fields, in YAML")


def train_on_shapes(
    args: argparse.Namespace, kind: type[ConfigT], start: Callable[[ConfigT, ShapeSet, Path], ShapeTraining]
) -> int:
    """Read the objects, train and export; a second call goes on where the first stopped."""
    config = load_changed_config(kind, args.config, args.set, {"root": args.root} if args.root else {})
    run_training(
        config, args.out, lambda: start(config, load_shape_set(config.data, Path(config.root), config.splits), args.out)
    )
    return 0
