# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings compared: variants of one config, each with the same steps and seeds, scored on sequences left out.

``kpconv-ros compare-trainings --config config/compare_trainings.yaml --root KITTI --out OUT``; a second call takes up
what was trained and scored before.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from kpconv_ros.checkpoint import load_model
from kpconv_ros.config_io import ConfigError, config_from_mapping, config_to_mapping, load_config, param
from kpconv_ros.data.posed_clouds import kitti_clouds
from kpconv_ros.evaluation.metrics import ConfusionMatrix
from kpconv_ros.pipelines.cloud_voter import CloudVoter, CloudVoterConfig
from kpconv_ros.training.loop import run_training
from kpconv_ros.training.segment import SegmentTraining
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import load_clips, make_cutter


@dataclass(frozen=True)
class ComparisonConfig:
    """What is compared."""

    base: dict[str, Any] = param(dict, "fields of SegmentTrainingConfig that all trainings share")
    steps: int = param(1000, "of each training; the stages of a variant share them", 1)
    seeds: tuple[int, ...] = param((0, 1, 2), "each variant is trained once with each", 0)
    train: tuple[str, ...] = param((), "SemanticKITTI sequences to train on")
    left_out: tuple[str, ...] = param((), "sequences to score")
    num_votes: int = param(2, "tests of each voxel of a scored scan", 1)
    variants: dict[str, Any] = param(dict, "name to the stages, each the fields that differ from base; or another name")


class Stage(NamedTuple):
    """One training."""

    config: SegmentTrainingConfig
    out: Path


class Job(NamedTuple):
    """A variant with a seed."""

    variant: str
    seed: int
    stages: tuple[Stage, ...]
    """In order; each but the first starts from the weights of the one before."""


def stages_of(config: ComparisonConfig, variant: str, seed: int, root: str, out: Path) -> tuple[Stage, ...]:
    """Return the trainings of a variant with a seed.

    Raises:
        ConfigError: If a field does not exist or the stages do not share the steps evenly.
    """
    changes = config.variants[variant]
    if not isinstance(changes, list) or not changes:
        raise ConfigError(
            f"variant {variant}: expected a list of stages or the name of another variant, got {changes!r}"
        )
    if config.steps % len(changes):
        raise ConfigError(f"variant {variant}: expected stages that share {config.steps} steps, got {len(changes)}")
    stages: list[Stage] = []
    for index, change in enumerate(changes):
        folder = out / variant / f"seed{seed}" / f"stage{index + 1}"
        fields = {**config.base, **change, "name": variant, "root": root, "sequences": config.train, "seed": seed}
        fields["augmentation"] = {**config.base.get("augmentation", {}), **change.get("augmentation", {})}
        fields["steps"] = config.steps // len(changes)
        if stages:
            fields["start_from"] = str(stages[-1].out / variant / "weights.safetensors")
        stages.append(Stage(config_from_mapping(SegmentTrainingConfig, fields, f"variant {variant}"), folder))
    return tuple(stages)


def jobs_of(config: ComparisonConfig, root: str, out: Path, only: Sequence[str] = ()) -> Iterator[Job]:
    """Yield the trainings that are asked for, all variants of a seed before the next seed.

    Raises:
        ConfigError: If ``only`` or an alias names a variant that is not there.
    """
    for name in (*only, *(target for target in config.variants.values() if isinstance(target, str))):
        if name not in config.variants:
            raise ConfigError(f"variant {name}: expected one of {', '.join(config.variants)}")
    for seed in config.seeds:
        for variant, stages in config.variants.items():
            if not isinstance(stages, str) and (not only or variant in only):
                yield Job(variant, seed, stages_of(config, variant, seed, root, out))


def run_job(job: Job, config: ComparisonConfig, num_threads: int) -> dict[str, Any]:
    """Train and score, and return the score; what a call before trained or scored in the same way is taken over."""
    if num_threads:
        torch.set_num_threads(num_threads)
    file = job.stages[-1].out / "score.json"
    asked = {"left_out": list(config.left_out), "num_votes": config.num_votes}
    asked["trainings"] = [config_to_mapping(stage.config) for stage in job.stages]
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
        if before["asked"] == asked:
            return {**before["score"], "added": added_terms(job)}
    for stage in job.stages:
        run_training(stage.config, stage.out, partial(_make_training, stage))
    model = job.stages[-1].out / job.variant
    score = {"variant": job.variant, "seed": job.seed, **score_model(model, job.stages[-1].config, config)}
    file.write_text(json.dumps({"asked": asked, "score": score}, indent=1) + "\n", encoding="utf-8")
    return {**score, "added": added_terms(job)}


def _make_training(stage: Stage) -> SegmentTraining:
    return SegmentTraining(stage.config, make_cutter(stage.config, load_clips(stage.config)), stage.out)


def added_terms(job: Job) -> dict[str, list[float]]:
    """Return what NCM or DSP added to the loss in each stage: means over the first and the last tenth of its steps."""
    terms = {}
    for index, stage in enumerate(job.stages):
        name = "ncm" if stage.config.ncm else "gap" if stage.config.propagation != "none" else ""
        if name:
            rows = (stage.out / "losses.csv").read_text(encoding="utf-8").splitlines()
            values = [float(row.split(",")[-1]) for row in rows]
            tenth = max(1, len(values) // 10)
            ends = values[:tenth], values[-tenth:]
            terms[f"{name} of stage {index + 1}"] = [statistics.fmean(end) for end in ends]
    return terms


def score_model(folder: Path, training: SegmentTrainingConfig, config: ComparisonConfig) -> dict[str, Any]:
    """Score the last scan of each left-out sequence, all its scans before it in the map, by the voting test."""
    model = load_model(str(folder), training.device)
    matrix = ConfusionMatrix(len(model.manifest.classes))
    voter = CloudVoter(model, CloudVoterConfig(num_votes=config.num_votes))
    for sequence in config.left_out:
        *_, last = kitti_clouds(Path(training.root), [sequence], 1_000_000, training.sensor_height)
        if last.labels is None:
            raise ConfigError(f"left_out: expected a sequence with labels, got {sequence}")
        matrix.add(last.labels, voter.label(last).labels)
    return {"miou": matrix.miou(), "accuracy": matrix.accuracy(), "iou": matrix.iou_by_class(model.manifest.classes)}


def rows_of(config: ComparisonConfig, scores: Sequence[dict[str, Any]], command: str) -> list[dict[str, Any]]:
    """Return a row for each variant that has all its seeds, an alias with the figures of what it stands for."""
    split = f"SemanticKITTI, trained on {' '.join(config.train)}, scored on {' '.join(config.left_out)}"
    rows = []
    for name, target in config.variants.items():
        of_variant = target if isinstance(target, str) else name
        found = {score["seed"]: score for score in scores if score["variant"] == of_variant}
        if all(seed in found for seed in config.seeds):
            rows.append(
                {
                    "name": name,
                    "miou": [found[seed]["miou"] for seed in config.seeds],
                    "accuracy": [found[seed]["accuracy"] for seed in config.seeds],
                    "added_to_loss": _mean_terms([found[seed]["added"] for seed in config.seeds]),
                    "seeds": list(config.seeds),
                    "steps": config.steps,
                    "split": split,
                    "command": command,
                }
            )
    return rows


def _mean_terms(each_seed: Sequence[dict[str, list[float]]]) -> dict[str, list[float]]:
    return {
        name: [statistics.fmean(values) for values in zip(*(terms[name] for terms in each_seed), strict=True)]
        for name in each_seed[0]
    }


def format_rows(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table: mean over the seeds and their standard deviation, in points of a hundred."""
    lines = [f"{'variant':<18}{'mIoU':>7}{'+-':>7}{'accuracy':>10}   each seed"]
    for row in rows:
        values = [100 * value for value in row["miou"]]
        spread = statistics.stdev(values) if len(values) > 1 else math.nan
        accuracy = 100 * statistics.fmean(row["accuracy"])
        each = " ".join(f"{value:.1f}" for value in values)
        lines.append(f"{row['name']:<18}{statistics.fmean(values):>7.1f}{spread:>7.1f}{accuracy:>10.1f}   {each}")
    for row in rows:
        for term, (first, last) in row["added_to_loss"].items():
            lines.append(f"{row['name']:<18}{term}: {first:.4f} in the first tenth of steps, {last:.4f} in the last")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of ComparisonConfig")
    parser.add_argument("--root", required=True, help="folder that holds sequences/")
    parser.add_argument("--out", type=Path, required=True, help="folder for trainings and results.json")
    parser.add_argument("--only", nargs="+", default=[], metavar="VARIANT", help="variants to train; default all")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, each with one thread if above 1")


def run(args: argparse.Namespace) -> int:
    """Train and score what is missing; print the table and write ``OUT/results.json``."""
    config = load_config(ComparisonConfig, args.config)
    jobs = list(jobs_of(config, args.root, args.out, args.only))
    if args.jobs > 1:
        with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
            running = [pool.submit(run_job, job, config, 1) for job in jobs]
            scores = [future.result() for future in as_completed(running)]
    else:
        scores = [run_job(job, config, 0) for job in jobs]
    command = f"kpconv-ros compare-trainings --config config/{args.config.name} --root ROOT --out OUT"
    rows = rows_of(config, scores, command)
    (args.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(format_rows(rows))
    return 0
