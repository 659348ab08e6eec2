# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of KP-FCNN for segmentation: ``kpconv-ros train segment --config FILE``.

Note:
    The paper trains with momentum SGD for hundreds of epochs of 5,000 spheres, which ``config/train_..._paper.yaml``
    repeats. By default AdamW follows one cycle of the learning rate, which is meant to get further in the few thousand
    steps that a CPU affords, and the loss adds Lovasz-Softmax.
"""

import argparse
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from kpconv_ros.checkpoint import load_network, save_model
from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.layers.feature_reallocation import FeatureReallocation
from kpconv_ros.losses.cooccurrence import cooccurrences, ncm_loss, normalize_cooccurrences, one_hot_labels
from kpconv_ros.losses.segmentation import class_weights, segmentation_loss
from kpconv_ros.networks.encoder import DEEP_ENCODER, PAPER_DEFORMABLE_ENCODER, PAPER_ENCODER
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.pyramid import Level
from kpconv_ros.training.batches import Batch, make_batch
from kpconv_ros.training.loop import TrainingError, TrainingLoop, run_training
from kpconv_ros.training.loop_config import load_changed_config
from kpconv_ros.training.processes import mean_over_processes, num_processes, process_rank
from kpconv_ros.training.propagation import Branches, pair_clouds, propagate
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import CLASSES, UNALTERED, load_clips, load_held_out, make_cutter
from kpconv_ros.training.segment_sources import SOURCES
from kpconv_ros.training.spheres import SphereCutter

ENCODERS = {"paper": PAPER_ENCODER, "deep": DEEP_ENCODER, "paper_deformable": PAPER_DEFORMABLE_ENCODER}
SILENT = -1e4  # a logit that makes a probability of 0, in float16 too
SMALLEST_WEIGHT = 1e-6  # in place of 0, where no process has a label
SCENE_BATCHES = 50  # from which the co-occurrence of classes in the training data is counted


class SegmentTraining(TrainingLoop[Batch]):
    """Training of a KP-FCNN on spheres."""

    config: SegmentTrainingConfig
    network: KPFCNN

    def __init__(
        self, config: SegmentTrainingConfig, cutter: SphereCutter, out: Path, held_out: SphereCutter | None = None
    ) -> None:
        """Build the network, and take up the checkpoint in ``out`` if there is one.

        Args:
            config: All that can be told.
            cutter: Gives the spheres to train on.
            out: Folder of the checkpoint; it exists.
            held_out: Gives those to validate on.

        Raises:
            TrainingError: If validation is asked for without them, or the checkpoint or ``start_from`` does not fit.
        """
        if config.validate_every and held_out is None:
            raise TrainingError("validate_every: expected validation_sequences or validation_seeds with it, got none")
        self.cutter, self.held_out = cutter, held_out
        self.leaves_parameters_out = config.propagation == "cross"  # a batch may have no pair of spheres
        torch.manual_seed(config.seed)
        sizes = KPFCNNConfig(
            num_classes=cutter.num_classes,
            in_features=len(config.features),
            voxel_size=config.voxel_size,
            width=config.width,
            encoder=ENCODERS[config.encoder],
            num_kernel_points=config.num_kernel_points,
        )
        network = KPFCNN(sizes)
        if config.start_from:
            start_from(network, Path(config.start_from))
        self.reallocation: FeatureReallocation | None = None
        if config.propagation != "none":
            self.reallocation = FeatureReallocation(network.encoder.widths[-2], config.max_affinities)
        companions = {} if self.reallocation is None else {"reallocation": self.reallocation}
        super().__init__(config, network, out, **companions)
        counts = torch.from_numpy(cutter.class_counts())
        self.weights = class_weights(counts, config.class_power).to(self.device)
        self.scene = self._count_scene().to(self.device) if config.ncm > 0 and config.ncm_scene else None

    def _count_scene(self) -> Tensor:
        """Return the co-occurrence matrix of the training data, from batches that no step sees."""
        counts = torch.zeros(self.cutter.num_classes, self.cutter.num_classes)
        for batch in range(SCENE_BATCHES):
            points, lengths, _, labels = self.make_batch(-1 - batch)
            lists = self.network.build_levels(points, lengths)[0].neighborhood.lists
            counts += cooccurrences(one_hot_labels(labels, len(counts)), lists)
        return normalize_cooccurrences(counts)

    def make_batch(self, index: int) -> Batch:
        """Cut the spheres of a batch."""
        return make_batch(self.cutter, self.config.batch_points, self.config.seed, index)

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch; the accuracy over labelled voxels, and what DSP or NCM add, not weighted."""
        config, scalars = self.config, dict[str, Tensor]()
        points, lengths, features, labels = batch
        with self.autocast():
            levels = self.network.build_levels(points, lengths)
            if self.reallocation is None:
                logits, branches = self.network.classify(levels, features), None
            else:
                branches = self._propagate(levels, features, labels, lengths)
                logits = branches.original
        total = self._total_weight(labels)
        loss = segmentation_loss(logits, labels, self.weights, config.lovasz, total)
        if branches is not None:
            scalars["gap"] = branches.gap(mean_over_processes(branches.rows.sum().float()))
            loss = loss + config.gap * scalars["gap"]  # Eq. (11) of DSP
            if config.propagation == "intra":  # Eq. (12)
                loss = loss + segmentation_loss(branches.reallocated, labels, self.weights, config.lovasz, total)
        if config.ncm > 0:
            lists, is_reverse = levels[0].neighborhood.lists, self.scene is not None
            scalars["ncm"] = ncm_loss(logits, labels, lists, self.scene, is_reverse)
            loss = loss + config.ncm * scalars["ncm"]
        loss = loss + config.regularization * self.network.regularization()
        right = (logits.detach().argmax(1) == labels)[labels >= 0].float().mean()
        return loss, {"accuracy": right, **{name: value.detach() for name, value in scalars.items()}}

    def _total_weight(self, labels: Tensor) -> Tensor | None:
        """Return by what cross entropies are divided, so that their mean over several processes is over all points."""
        if num_processes() == 1:
            return None
        return mean_over_processes(self.weights[labels[labels >= 0]].sum()).clamp(min=SMALLEST_WEIGHT)

    def _propagate(self, levels: list[Level], features: Tensor, labels: Tensor, lengths: Tensor) -> Branches:
        assert self.reallocation is not None
        is_cross = self.config.propagation == "cross"
        partners = pair_clouds(labels, lengths) if is_cross else list(range(len(lengths)))
        return propagate(self.network, self.reallocation, levels, features, partners)

    def validate(self) -> float:
        """Return the mIoU of the averaged network over spheres of the held-out scans, the same ones each time."""
        assert self.held_out is not None
        config, matrix = self.config, ConfusionMatrix(self.cutter.num_classes + 1)
        for index in range(process_rank(), config.validation_batches, num_processes()):
            batch = self._to_device(make_batch(self.held_out, config.batch_points, config.seed, index))
            with self.autocast():
                logits = self.average.module(batch.points, batch.lengths, batch.features)
            matrix.add((batch.labels + 1).cpu().numpy(), (logits.argmax(1) + 1).cpu().numpy())
        counts = mean_over_processes(torch.from_numpy(matrix.counts).double().to(self.device)) * num_processes()
        total = ConfusionMatrix(matrix.num_classes)
        total.add_counts(counts.round().long().cpu().numpy())
        return total.miou()

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model."""
        classes, colors = CLASSES[self.config.data]
        manifest = {
            "name": self.config.name,
            "classes": classes,
            "colors": colors,
            "sphere_radius": self.config.sphere_radius,
            "features": self.config.features,
            "intensity_scale": 1.0,
            "licence": SOURCES[self.config.data].licence,
        }
        network, silenced = self.average.module, [classes[1:].index(name) for name in self.config.unpredicted]
        assert isinstance(network, KPFCNN)
        save_model(folder, silence(network, silenced), manifest)


def silence(network: KPFCNN, rows: Sequence[int]) -> KPFCNN:
    """Return a copy of a network whose logits ``rows`` are :data:`SILENT`, whatever the input."""
    copied = deepcopy(network)
    with torch.no_grad():
        copied.classifier.weight[list(rows)] = 0.0
        copied.classifier.bias[list(rows)] = SILENT
    return copied


def start_from(network: KPFCNN, path: Path) -> None:
    """Take over the weights of another training of the same network.

    Raises:
        TrainingError: If they are of a network of other sizes, or of one with silenced classes, which could not learn.
    """
    other = load_network(path)
    if other.config != network.config:
        raise TrainingError(f"{path}: expected a network of {network.config}, got {other.config}")
    assert isinstance(other, KPFCNN)
    silenced = int((other.classifier.bias <= SILENT).sum())
    if silenced:
        raise TrainingError(
            f"{path}: expected a network that was trained without unpredicted, got {silenced} silenced classes"
        )
    network.load_state_dict(other.state_dict())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of SegmentTrainingConfig")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, losses and the model")
    parser.add_argument("--root", help="folder of the dataset, in place of the file's")
    parser.add_argument("--sequences", nargs="+", help="sequences to train on, in place of the file's")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other fields, in YAML")


def run(args: argparse.Namespace) -> int:
    """Train and export; a second call goes on where the first stopped."""
    given = {"root": args.root, "sequences": args.sequences}
    changes = {name: value for name, value in given.items() if value}
    config = load_changed_config(SegmentTrainingConfig, args.config, args.set, changes)

    train_segment(config, args.out)
    return 0


def train_segment(config: SegmentTrainingConfig, out: Path) -> None:
    """Read the data, train and export to ``out``; a second call goes on where the first stopped."""

    def make() -> SegmentTraining:
        clips = load_held_out(config) if config.validate_every else []
        held_out = make_cutter(config, clips, UNALTERED) if clips else None
        return SegmentTraining(config, make_cutter(config, load_clips(config)), out, held_out)

    run_training(config, out, make)
