# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of KP-FCNN for segmentation: ``kpconv-ros train segment --config FILE``.

Note:
    The paper trains with momentum SGD for hundreds of epochs of 5,000 spheres, which ``config/train_..._paper.yaml``
    repeats. By default AdamW follows one cycle of the learning rate, which is meant to get further in the few thousand
    steps that a CPU affords, and the loss adds Lovasz-Softmax.
"""

import argparse
import csv
import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from kpconv_ros.checkpoint import choose_device, load_network, save_model
from kpconv_ros.config_io import config_from_mapping, config_to_mapping, load_config
from kpconv_ros.layers.feature_reallocation import FeatureReallocation
from kpconv_ros.layers.low_precision import has_bfloat16
from kpconv_ros.losses.cooccurrence import cooccurrences, ncm_loss, normalize_cooccurrences, one_hot_labels
from kpconv_ros.losses.segmentation import class_weights, segmentation_loss
from kpconv_ros.networks.encoder import DEEP_ENCODER, PAPER_ENCODER
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.pyramid import Level
from kpconv_ros.training.batches import Batch, BatchLoader, make_batch
from kpconv_ros.training.propagation import Branches, pair_clouds, propagate
from kpconv_ros.training.segment_config import SegmentTrainingConfig, learning_rate_factor
from kpconv_ros.training.segment_data import CLASSES, load_clips, make_cutter
from kpconv_ros.training.segment_sources import SOURCES
from kpconv_ros.training.spheres import SphereCutter

ENCODERS = {"paper": PAPER_ENCODER, "deep": DEEP_ENCODER}
SCENE_BATCHES = 50  # from which the co-occurrence of classes in the training data is counted


class TrainingError(RuntimeError):
    """A training that cannot go on."""


class SegmentTraining:
    """State of a training; everything that a resumed one needs."""

    def __init__(self, config: SegmentTrainingConfig, cutter: SphereCutter, out: Path) -> None:
        """Build network and optimiser, and take up the checkpoint in ``out`` if there is one."""
        self.config, self.cutter, self.out = config, cutter, out
        self.device, self.step = choose_device(config.device), 0
        self.bf16 = config.bf16 and has_bfloat16(self.device)
        torch.manual_seed(config.seed)
        sizes = KPFCNNConfig(
            num_classes=cutter.num_classes,
            in_features=len(config.features),
            voxel_size=config.voxel_size,
            width=config.width,
            encoder=ENCODERS[config.encoder],
        )
        self.network = KPFCNN(sizes).to(self.device)
        if config.start_from:
            self._start_from(Path(config.start_from))
        self.reallocation: FeatureReallocation | None = None
        if config.propagation != "none":
            channels = self.network.encoder.widths[-2]
            self.reallocation = FeatureReallocation(channels, config.max_affinities).to(self.device)
        self.average = AveragedModel(self.network, avg_fn=self._mix, use_buffers=True)
        self.optimizer = self._make_optimizer()
        counts = torch.from_numpy(cutter.class_counts())
        self.weights = class_weights(counts, config.class_power).to(self.device)
        self.scene = self._count_scene().to(self.device) if config.ncm > 0 and config.ncm_scene else None
        self._resume()

    def _mix(self, average: Tensor, new: Tensor, num_averaged: Tensor | int) -> Tensor:
        """Return the running average; its decay rises from 0.1, so that the random start is soon forgotten."""
        count = int(num_averaged)
        decay = min(self.config.average, (1 + count) / (10 + count))
        return decay * average + (1 - decay) * new

    def _parameter_groups(self) -> list[dict[str, Any]]:
        offsets = [p for name, p in self.network.named_parameters() if "offset" in name]
        others = [p for name, p in self.network.named_parameters() if "offset" not in name]
        others += [] if self.reallocation is None else list(self.reallocation.parameters())
        groups = [{"params": others, "factor": 1.0}, {"params": offsets, "factor": self.config.offset_factor}]
        return [group for group in groups if group["params"]]

    def _make_optimizer(self) -> torch.optim.Optimizer:
        groups, decay = self._parameter_groups(), self.config.weight_decay
        if self.config.optimizer == "sgd":
            return torch.optim.SGD(
                groups, lr=self.config.learning_rate, momentum=self.config.momentum, weight_decay=decay
            )
        return torch.optim.AdamW(groups, weight_decay=decay)

    def _count_scene(self) -> Tensor:
        """Return the co-occurrence matrix of the training data, from batches that no step sees."""
        counts = torch.zeros(self.cutter.num_classes, self.cutter.num_classes)
        for batch in range(SCENE_BATCHES):
            points, lengths, _, labels = make_batch(self.cutter, self.config.batch_points, self.config.seed, -1 - batch)
            lists = self.network.build_levels(points, lengths)[0].neighborhood.lists
            counts += cooccurrences(one_hot_labels(labels, len(counts)), lists)
        return normalize_cooccurrences(counts)

    @property
    def checkpoint(self) -> Path:
        """File of the resumable state."""
        return self.out / "checkpoint.pt"

    def _resume(self) -> None:
        if not self.checkpoint.is_file():
            return
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        if state["config"] != config_to_mapping(self.config):
            raise TrainingError(f"{self.checkpoint} belongs to another config; name another --out, or remove it")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.reallocation is not None:
            self.reallocation.load_state_dict(state["reallocation"])
        self.step = state["step"]

    def _start_from(self, path: Path) -> None:
        """Take over the weights of another training of the same network."""
        other = load_network(path)
        if other.config != self.network.config:
            raise TrainingError(f"{path}: expected a network of {self.network.config}, got {other.config}")
        self.network.load_state_dict(other.state_dict())

    def save(self) -> None:
        """Write the resumable state, at once or not at all."""
        state = {
            "config": config_to_mapping(self.config),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "reallocation": {} if self.reallocation is None else self.reallocation.state_dict(),
            "step": self.step,
        }
        temporary = self.checkpoint.with_suffix(".partial")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)

    def train_step(self, batch: Batch) -> tuple[float, float]:
        """Take one step; return its loss and the accuracy over the labelled voxels."""
        config = self.config
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * group["factor"] * learning_rate_factor(self.step, config)
        points, lengths, features, labels = (tensor.to(self.device) for tensor in batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            levels = self.network.build_levels(points, lengths)
            if self.reallocation is None:
                logits, branches = self.network.classify(levels, features), None
            else:
                branches = self._propagate(levels, features, labels, lengths)
                logits = branches.original
        loss = segmentation_loss(logits, labels, self.weights, config.lovasz)
        if branches is not None:
            loss = loss + config.gap * branches.gap()  # Eq. (11) of DSP
            if config.propagation == "intra":  # Eq. (12)
                loss = loss + segmentation_loss(branches.reallocated, labels, self.weights, config.lovasz)
        if config.ncm > 0:
            lists, is_reverse = levels[0].neighborhood.lists, self.scene is not None
            loss = loss + config.ncm * ncm_loss(logits, labels, lists, self.scene, is_reverse)
        loss = loss + config.regularization * self.network.regularization()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        labelled = labels >= 0
        right = (logits.argmax(1) == labels)[labelled].float().mean()
        return float(loss.detach()), float(right)

    def _propagate(self, levels: list[Level], features: Tensor, labels: Tensor, lengths: Tensor) -> Branches:
        assert self.reallocation is not None
        is_cross = self.config.propagation == "cross"
        partners = pair_clouds(labels, lengths) if is_cross else list(range(len(lengths)))
        return propagate(self.network, self.reallocation, levels, features, partners)

    def train(self) -> None:
        """Run to the last step, with a progress bar, a CSV of the losses and checkpoints."""
        loader = BatchLoader(self.cutter, self.config.batch_points, self.config.seed, self.step, self.config.steps)
        log = self._open_log()
        with log.open("a", newline="", encoding="utf-8") as file, loader:
            writer, smooth = csv.writer(file, lineterminator="\n"), 0.0
            bar = tqdm(loader, desc=self.config.name, initial=self.step, total=self.config.steps, mininterval=5)
            for batch in bar:
                loss, accuracy = self.train_step(batch)
                if not math.isfinite(loss):
                    raise TrainingError(f"step {self.step}: expected a finite loss, got {loss}")
                smooth = accuracy if self.step == 1 else 0.98 * smooth + 0.02 * accuracy
                bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{smooth:.3f}", refresh=False)
                writer.writerow([self.step, f"{loss:.5f}", f"{accuracy:.5f}"])
                if self.step % self.config.save_every == 0:
                    file.flush()
                    self.save()
        self.save()

    def _open_log(self) -> Path:
        """Return the log without the steps after the last checkpoint, which are about to be taken again."""
        log = self.out / "losses.csv"
        rows = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.is_file() else []
        kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= self.step]
        log.write_text("".join(kept), encoding="utf-8")
        return log

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
        save_model(folder, self.average.module, manifest)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of SegmentTrainingConfig")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, losses and the model")
    parser.add_argument("--root", help="folder of the dataset, in place of the file's")
    parser.add_argument("--sequences", nargs="+", help="sequences to train on, in place of the file's")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="other fields, in YAML")


def run(args: argparse.Namespace) -> int:
    """Train and export; a second call goes on where the first stopped."""
    import yaml

    config = load_config(SegmentTrainingConfig, args.config)
    changes: dict[str, Any] = {name: yaml.safe_load(value) for name, value in (s.split("=", 1) for s in args.set)}
    if args.root:
        changes["root"] = args.root
    if args.sequences:
        changes["sequences"] = args.sequences
    config = config_from_mapping(SegmentTrainingConfig, {**config_to_mapping(config), **changes}, "arguments")
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    args.out.mkdir(parents=True, exist_ok=True)
    training = SegmentTraining(config, make_cutter(config, load_clips(config)), args.out)
    training.train()
    training.export(args.out / config.name)
    print(f"wrote {args.out / config.name}", file=sys.stderr)
    return 0
