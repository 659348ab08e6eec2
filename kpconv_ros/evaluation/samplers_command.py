# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros test samplers``: a task network on samples of its clouds, learned samplers beside FPS and chance."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kpconv_ros.data.object_sets import ObjectSet
from kpconv_ros.data.object_tasks import ObjectTaskConfig, TaskBatch, draw_batch, load_task_objects
from kpconv_ros.evaluation.object_samplers import (
    METRICS,
    Sampler,
    complete_sampler,
    farthest_sampler,
    learned_sampler,
    measure,
    random_sampler,
)
from kpconv_ros.model_folder import CheckpointError
from kpconv_ros.sampling_checkpoint import (
    SamplerModel,
    SamplingManifest,
    TaskModel,
    load_sampler,
    load_task_network,
)

BATCH = 25  # examples at once


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words of the command."""
    parser.add_argument("--task-network", required=True, help="folder of the task network; it names the objects too")
    parser.add_argument("--samplers", nargs="*", default=[], help="folders of samplers that were trained with it")
    parser.add_argument("--sizes", nargs="+", type=int, default=[32, 64], help="points to keep (default %(default)s)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of random and FPS (%(default)s)")
    parser.add_argument("--examples", type=int, default=500, help="test clouds or pairs (default %(default)s)")
    parser.add_argument("--example-seed", type=int, default=1, help="of their points and poses (default %(default)s)")
    parser.add_argument(
        "--exact-copies", action="store_true", help="registration: template and source have the same points, turned"
    )
    parser.add_argument("--out", type=Path, help="JSON file; the entries of other tasks in it are kept")


def run(args: argparse.Namespace) -> int:
    """Test, print a table and write what was asked for."""
    task = load_task_network(args.task_network)
    tested = replace(task.manifest.objects, exact_copies=task.manifest.objects.exact_copies or args.exact_copies)
    plain = [make(seed) for make in (farthest_sampler, random_sampler) for seed in args.seeds]
    models = load_samplers(args.samplers, task)
    learned = [learned_sampler(m.network, m.manifest.control_sizes, m.manifest.seed) for m in models]
    objects = load_task_objects(tested, "test")
    batches = list(draw_batches(objects, tested, args.examples, args.example_seed))
    rows = summarize(measure_all(task, [*learned, *plain], batches, args.sizes))
    print(format_table(rows, METRICS[tested.task]))
    if args.out:
        name = f"{tested.task}_exact_copies" if args.exact_copies else tested.task
        write_entry(args.out, name, {**describe(task, models, args, len(objects.surfaces)), "rows": rows})
        print(f"wrote {args.out}")
    return 0


def load_samplers(folders: Sequence[str], task: TaskModel) -> list[SamplerModel]:
    """Load learned samplers.

    Raises:
        CheckpointError: If one cannot be used, or was trained with another task network.
    """
    models = []
    for folder in folders:
        model = load_sampler(folder)
        if model.manifest.task_sha256 != task.manifest.sha256:
            got, expected = model.manifest.task_sha256, task.manifest.sha256
            raise CheckpointError(f"{folder}: expected a sampler for the task network {expected}, got one for {got}")
        models.append(model)
    return models


def draw_batches(objects: ObjectSet, task: ObjectTaskConfig, examples: int, seed: int) -> Iterator[TaskBatch]:
    """Draw test examples, the objects in turn, the same for the same seed."""
    generator = np.random.default_rng(seed)
    for start in range(0, examples, BATCH):
        rows = [row % len(objects.surfaces) for row in range(start, min(start + BATCH, examples))]
        yield draw_batch(objects, rows, task, generator)


def measure_all(
    task: TaskModel, samplers: Sequence[Sampler], batches: Sequence[TaskBatch], sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Return a row for each sampler, seed and size: ``value`` is the mean over the examples."""
    complete = torch.cat([measure(task.network, batch, complete_sampler().choose, 0) for batch in batches])
    is_nre = task.manifest.objects.task == "reconstruction"

    def value(errors: Tensor) -> float:
        return float((errors / complete if is_nre else errors).mean())

    points = task.manifest.objects.num_points
    rows = [{"sampler": "complete", "points": points, "seed": 0, "value": value(complete)}]
    wanted = [(s, size) for size in sizes for s in samplers if not s.sizes or size in s.sizes]
    for sampler, size in tqdm(wanted, desc="sampling", unit="sampler"):
        errors = torch.cat([measure(task.network, batch, sampler.choose, size) for batch in batches])
        rows.append({"sampler": sampler.kind, "points": size, "seed": sampler.seed, "value": value(errors)})
    return rows


def summarize(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the rows of the seeds of a sampler and size: their mean, their standard deviation, their values."""
    groups: dict[tuple[str, int], dict[int, float]] = {}
    for row in rows:
        groups.setdefault((row["sampler"], row["points"]), {})[row["seed"]] = row["value"]
    return [
        {
            "sampler": sampler,
            "points": points,
            "mean": round(statistics.fmean(values.values()), 4),
            "std_over_seeds": round(statistics.stdev(values.values()), 4) if len(values) > 1 else None,
            "seeds": sorted(values),
            "values": [round(values[seed], 4) for seed in sorted(values)],
        }
        for (sampler, points), values in groups.items()
    ]


def describe(
    task: TaskModel, samplers: Sequence[SamplerModel], args: argparse.Namespace, num_objects: int
) -> dict[str, Any]:
    """Return what is needed to repeat the test."""

    def describe_model(manifest: SamplingManifest) -> dict[str, Any]:
        return {name: getattr(manifest, name) for name in ("name", "sha256", "steps", "seed")}

    sizes, seeds = " ".join(map(str, args.sizes)), " ".join(map(str, args.seeds))
    copies = " --exact-copies" if args.exact_copies else ""
    return {
        "metric": METRICS[task.manifest.objects.task],
        "data": f"{task.manifest.objects.data}, {num_objects} test objects, {args.examples} examples",
        "task_network": describe_model(task.manifest),
        "samplers": [describe_model(model.manifest) for model in samplers],
        "command": f"kpconv-ros test samplers --task-network TASK --samplers ... --sizes {sizes} --seeds {seeds} "
        f"--examples {args.examples} --example-seed {args.example_seed}{copies}",
    }


def write_entry(path: Path, name: str, entry: dict[str, Any]) -> None:
    """Write the entry of a task into a JSON file, beside those of other tasks."""
    entries = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**entries, name: entry}, indent=1) + "\n", encoding="utf-8")


def format_table(rows: Sequence[dict[str, Any]], metric: str) -> str:
    """Return the rows for the terminal."""
    lines = [f"{'sampler':<14}{'points':>7}{metric:>14}{'+-':>9}  over seeds"]
    for row in rows:
        spread = "-" if row["std_over_seeds"] is None else f"{row['std_over_seeds']:.3f}"
        lines.append(f"{row['sampler']:<14}{row['points']:>7}{row['mean']:>14.3f}{spread:>9}  {len(row['seeds'])}")
    return "\n".join(lines)
