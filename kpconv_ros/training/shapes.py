# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the trainings on single objects share: their config, their batches and their command.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.1 and supplement A.
"""

import argparse
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.data.prepared_files import default_folder
from kpconv_ros.data.shape_sets import LICENCES, ShapeData, ShapeSet, load_shape_set, shape_names
from kpconv_ros.data.shapes import Shape, ShapeAugmentationConfig, ShapeBatch, pack_shapes, voxelize_shape
from kpconv_ros.networks.encoder import PAPER_DEFORMABLE_ENCODER, PAPER_ENCODER
from kpconv_ros.networks.kpcnn import KPCNN
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN
from kpconv_ros.pipelines.shape_voter import ShapeVoter
from kpconv_ros.shape_checkpoint import ShapeManifest, ShapeModel, save_shape_model
from kpconv_ros.training.loop import TrainingError, TrainingLoop, run_training
from kpconv_ros.training.loop_config import LoopConfig, load_changed_config
from kpconv_ros.training.processes import mean_over_processes, num_processes, process_rank

ENCODERS = {"rigid": PAPER_ENCODER, "deformable": PAPER_DEFORMABLE_ENCODER}


@dataclass(frozen=True)
class ShapeTrainingConfig(LoopConfig):
    """One training on single objects."""

    data: ShapeData = param("modelnet40", "dataset")
    root: str = param("", "its folder")
    splits: tuple[str, ...] = param(("train",), "splits to train on")
    validation_splits: tuple[str, ...] = param((), "splits that are held out to validate on; ModelNet40 has only test")
    cache: str = param("", "folder of prepared objects; empty is kpconv_ros in $XDG_CACHE_HOME or ~/.cache")
    prepare_processes: int = param(0, "processes that prepare objects; 0 is one for each core", 0)
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
        self,
        config: ShapeTrainingConfig,
        shape_set: ShapeSet,
        network: KPCNN | PartKPFCNN,
        out: Path,
        held_out: Sequence[Shape] = (),
    ) -> None:
        """Take the objects to train on and those to validate on, and what :class:`TrainingLoop` takes.

        Raises:
            TrainingError: If validation is asked for without objects, or as :class:`TrainingLoop`.
        """
        if config.validate_every and not held_out:
            raise TrainingError("validate_every: expected validation_splits with it, got none")
        self.shape_set, self.held_out = shape_set, pick_objects(held_out, config)
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

    @abstractmethod
    def score_shape(self, shape: Shape, probabilities: NDArray[np.float32]) -> float:
        """Return the score of an object, 0 to 1, from what :meth:`ShapeVoter.votes_of_shapes` gives for it."""

    def validate(self) -> float:
        """Return the mean score of the averaged network over the held-out objects, seen once as they are."""
        network = self._averaged()
        manifest = ShapeManifest(weights="", sha256="", voxel_size=network.config.voxel_size, **self._about())
        voter = ShapeVoter(ShapeModel(manifest, network))
        shapes = self.held_out[process_rank() :: num_processes()]
        scores = [self.score_shape(*pair) for pair in zip(shapes, voter.votes_of_shapes(shapes), strict=True)]
        total = mean_over_processes(torch.tensor([sum(scores), len(scores)], dtype=torch.float64, device=self.device))
        return float(total[0] / total[1])

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model."""
        save_shape_model(folder, self._averaged(), self._about())

    def _averaged(self) -> KPCNN | PartKPFCNN:
        network = self.average.module
        assert isinstance(network, (KPCNN, PartKPFCNN))
        return network

    def _about(self) -> dict[str, Any]:
        """Return the fields of the model's manifest that do not tell of its weights."""
        return {
            "name": self.config.name,
            "data": self.config.data,
            "classes": self.shape_set.classes,
            "features": self.config.features,
            "augmentation": self.config.augmentation,
            "licence": LICENCES[self.config.data],
        }


def encoder_sizes(config: ShapeTrainingConfig) -> dict[str, Any]:
    """Return the fields of a network's config that are told by that of the training, all but its classes."""
    return {
        "in_features": len(config.features),
        "voxel_size": config.voxel_size,
        "width": config.width,
        "encoder": config.blocks or ENCODERS[config.encoder],
        "momentum": config.norm_momentum,
    }


def pick_objects(shapes: Sequence[Shape], config: ShapeTrainingConfig) -> list[Shape]:
    """Return the objects of a validation, always the same: as many points as its batches have voxels, or all."""
    rows, num_points = list[int](), 0
    for row in np.random.default_rng(config.seed).permutation(len(shapes)).tolist():
        if num_points >= config.validation_batches * config.batch_points:
            break
        rows.append(row)
        num_points += len(shapes[row].points)
    return [shapes[row] for row in sorted(rows)]  # in the order of a test, which lays each on a grid of its own


def load_objects(config: ShapeTrainingConfig, splits: Sequence[str]) -> ShapeSet:
    """Read the objects of some splits, prepared if they were read before."""
    folder = Path(config.cache) if config.cache else default_folder()
    return load_shape_set(config.data, Path(config.root), splits, folder, config.prepare_processes)


def load_held_out(config: ShapeTrainingConfig) -> list[Shape]:
    """Read the objects that are held out to validate on; none if ``config`` does not validate.

    Raises:
        ConfigError: If some of them are trained on.
    """
    if not config.validate_every or not config.validation_splits:
        return []
    root, data = Path(config.root), config.data
    shared = set(shape_names(data, root, config.splits)).intersection(shape_names(data, root, config.validation_splits))
    if shared:
        raise ConfigError(f"validation_splits: expected what is not trained on, got {len(shared)} objects that are")
    return load_objects(config, config.validation_splits).shapes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a command."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of the training's config")
    parser.add_argument("--root", help="folder of the dataset, in place of the file's")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, losses and the model")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other fields, in YAML")


class Start(Protocol):
    """Makes a training; the class of one does."""

    def __call__(self, config: Any, shape_set: ShapeSet, out: Path, held_out: Sequence[Shape]) -> ShapeTraining:
        """Make it."""


def train_on_shapes(args: argparse.Namespace, kind: type[ShapeTrainingConfig], start: Start) -> int:
    """Read the objects, train and export; a second call goes on where the first stopped."""
    config = load_changed_config(kind, args.config, args.set, {"root": args.root} if args.root else {})

    def make() -> ShapeTraining:
        held_out = load_held_out(config)
        return start(config, load_objects(config, config.splits), args.out, held_out)

    run_training(config, args.out, make)
    return 0
