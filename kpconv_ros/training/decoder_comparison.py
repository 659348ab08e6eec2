# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The experiment of the NeuralQAAD paper: decoders and ways to train them, in EM-kD (Table 1, Figure 5).

``kpconv-ros compare-decoders --config config/compare_decoders.yaml --out OUT``; a second call takes up what was trained
before, so several calls with other ``--seeds`` may share the work.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kpconv_ros.config_io import ConfigError, config_to_mapping, load_config, param
from kpconv_ros.data.consistent_clouds import CloudSet, load_cloud_set
from kpconv_ros.evaluation.decoder_pictures import draw_decoded
from kpconv_ros.evaluation.results_file import write_results
from kpconv_ros.geometry.distances import chamfer_distances
from kpconv_ros.geometry.earth_mover import match_in_cells, matched_distances
from kpconv_ros.networks.atlasnet_v2 import AtlasNetV2, AtlasNetV2Config
from kpconv_ros.networks.code_encoder import CodeEncoder, CodeEncoderConfig
from kpconv_ros.networks.neural_qaad import NeuralQAAD
from kpconv_ros.neural_qaad_checkpoint import load_neural_qaad
from kpconv_ros.training.folding import ChamferTraining, MatchedTraining, Matching, first_matches
from kpconv_ros.training.neural_qaad import NeuralQAADTrainingConfig, make_chamfer_training, make_network

ATLASNET, CHAMFER = "AtlasNetV2, Chamfer", "NeuralQAAD, Chamfer"
MATCHED: dict[str, Matching] = {
    "NeuralQAAD, random": "random",
    "NeuralQAAD, greedy": "greedy",
    "NeuralQAAD, reassignment": "reassignment",
    "NeuralQAAD, converged": "reassignment",
}
START = "NeuralQAAD, start"  # with the steps before the matching alone
SAMPLE = "one of the clouds"  # for all, untrained: the input cloud at first
CONVERGED = "NeuralQAAD, converged"  # reassignment with more steps
COLUMNS = (SAMPLE, ATLASNET, CHAMFER, *MATCHED)
OF_FIGURE = (ATLASNET, CHAMFER, "NeuralQAAD, reassignment")
DRAWN_CLOUDS = 2


@dataclass(frozen=True)
class DecoderComparisonConfig:
    """What is compared."""

    training: NeuralQAADTrainingConfig = param(NeuralQAADTrainingConfig, "what all trainings share")
    atlasnet_patches: int = param(12, "patches of the baseline, so that it has as many weights", 1)
    seeds: tuple[int, ...] = param((0, 1, 2), "each column is trained once with each", 0)
    columns: tuple[str, ...] = param(COLUMNS, "columns of the table")
    points_of_patch: tuple[int, ...] = param((3, 6, 12), "points of a patch in a step, for the figure", 1)
    figure_seeds: tuple[int, ...] = param((0,), "seeds of the figure, and of the converged column", 0)
    converged_steps: int = param(6000, "steps on matched points of that column", 1)
    scored_clouds: int = param(16, "clouds whose EM-kD is taken", 1)


class Job(NamedTuple):
    """One training."""

    column: str
    seed: int
    points_of_patch: int

    def folder(self, out: Path) -> Path:
        """Return where it is kept."""
        name = self.column.lower().replace(",", "").replace(" ", "_")
        return out / name / f"points{self.points_of_patch}" / f"seed{self.seed}"


def jobs_of(config: DecoderComparisonConfig, seeds: Sequence[int]) -> list[Job]:
    """Return the trainings of the table and of the figure that have one of ``seeds``.

    Raises:
        ConfigError: If a column is unknown.
    """
    unknown = set(config.columns) - set(COLUMNS)
    if unknown:
        raise ConfigError(f"columns: expected some of {'; '.join(COLUMNS)}, got {'; '.join(sorted(unknown))}")
    usual = config.training.points_of_patch
    table = [
        Job(column, seed, usual)
        for seed in seeds
        for column in config.columns
        if column != CONVERGED or seed in config.figure_seeds
    ]
    figure = [
        Job(column, seed, points)
        for seed in seeds
        if seed in config.figure_seeds
        for points in config.points_of_patch
        for column in OF_FIGURE
    ]
    return list(dict.fromkeys(table + figure))


def train_and_score(job: Job, config: DecoderComparisonConfig, data: CloudSet, out: Path) -> dict[str, Any]:
    """Train one decoder, decode the clouds and measure; what a former call measured is read."""
    folder = job.folder(out)
    result = folder / "result.json"
    if result.is_file():
        known: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return known
    folder.mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    settings = replace(config.training, seed=job.seed, points_of_patch=job.points_of_patch, name="model")
    decoded, weights = decode_trained(job, settings, config, data, out)
    spent = time.process_time() - started
    row = {**job._asdict(), "weights": weights, "cpu_seconds": round(spent, 1), **score(decoded, data, config)}
    np.save(folder / "decoded.npy", decoded[:DRAWN_CLOUDS].numpy())
    result.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return row


def decode_trained(
    job: Job, settings: NeuralQAADTrainingConfig, config: DecoderComparisonConfig, data: CloudSet, out: Path
) -> tuple[Tensor, int]:
    """Train; return the first clouds decoded, ``(S, M, 3)``, and the number of weights of the decoder."""
    folder, scored = job.folder(out), config.scored_clouds
    if job.column == SAMPLE:
        sample = make_network(settings, data).input_cloud.detach()
        return sample.flatten(0, 1).repeat(scored, 1, 1), 0
    if job.column in MATCHED:
        start = Job(START, job.seed, job.points_of_patch)
        train_and_score(start, config, data, out)
        steps = config.converged_steps if job.column == CONVERGED else settings.steps
        settings = replace(settings, matching=MATCHED[job.column], steps=steps)
        network, matches = start_matched(settings, data, start.folder(out))
        training = MatchedTraining(settings, data, network, folder, matches)
        training.train()
        return decode(training.network, training.network.latents[:scored]), count_weights(training.network)
    if job.column != START:  # as many steps in all as the matched ones
        settings = replace(settings, chamfer_steps=settings.chamfer_steps + settings.steps)
    is_baseline = job.column == ATLASNET
    make = make_baseline_training if is_baseline else make_chamfer_training
    chamfer = make(settings, data, folder, *([config.atlasnet_patches] if is_baseline else []))
    chamfer.train()
    chamfer.export(folder / "model")
    return decode(chamfer.network, chamfer.codes()[:scored]), count_weights(chamfer.network)


def start_matched(config: NeuralQAADTrainingConfig, data: CloudSet, start: Path) -> tuple[NeuralQAAD, Tensor]:
    """Return network and matches to start from; both columns that start with QAAD greedy share its matches."""
    network = load_neural_qaad(start / "model")
    kept = start / f"{'random' if config.matching == 'random' else 'greedy'}.npy"
    if not kept.is_file():
        np.save(kept, first_matches(config, data, network).numpy())
    return network, torch.from_numpy(np.load(kept))


def make_baseline_training(
    config: NeuralQAADTrainingConfig, data: CloudSet, out: Path, num_patches: int
) -> ChamferTraining:
    """Make the training of AtlasNetV2 with as many points in all and in a step, and the same encoder.

    Raises:
        ConfigError: If its patches do not divide these.
    """
    points, of_step = data.clouds.shape[1], config.num_patches * config.points_of_patch
    if points % num_patches or of_step % num_patches:
        raise ConfigError(f"atlasnet_patches: expected a divisor of {points} and {of_step} points, got {num_patches}")
    torch.manual_seed(config.seed)
    decoder = AtlasNetV2(AtlasNetV2Config(num_patches, points // num_patches, config.latent_size))
    encoder = CodeEncoder(CodeEncoderConfig(config.latent_size, config.encoder_widths))
    settings = replace(config, steps=config.chamfer_steps, points_of_patch=of_step // num_patches)
    return ChamferTraining(settings, data, decoder, encoder, out)


@torch.no_grad()
def decode(network: NeuralQAAD | AtlasNetV2, codes: Tensor) -> Tensor:
    """Decode codes one by one, ``(S, L)`` to ``(S, M, 3)``, on the CPU."""
    return torch.cat([network(code[None]).flatten(1, 2).cpu() for code in codes])


def count_weights(network: NeuralQAAD | AtlasNetV2) -> int:
    """Return the weights of a decoder, without input cloud and codes."""
    return sum(p.numel() for name, p in network.named_parameters() if name not in ("input_cloud", "latents"))


def score(decoded: Tensor, data: CloudSet, config: DecoderComparisonConfig) -> dict[str, float]:
    """Return EM-kD and Chamfer distance, means over the clouds, in squares of the unit of the clouds."""
    targets = data.clouds[: len(decoded)]
    matches = torch.cat([match_in_cells(*pair) for pair in zip(decoded.split(1), targets.split(1), strict=True)])
    emkd = matched_distances(decoded, targets, matches).mean() * data.unit**2
    return {"emkd": float(emkd), "chamfer": float(chamfer_distances(decoded, targets).mean() * data.unit**2)}


def summarize(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the seeds of a column and a number of points: mean and standard deviation of EM-kD, and each."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["column"], row["points_of_patch"]), []).append(row)
    return [
        {
            "column": column,
            "points_of_patch": points,
            "emkd_mean": round(statistics.fmean(row["emkd"] for row in group), 4),
            "emkd_std": round(statistics.stdev([row["emkd"] for row in group]), 4) if len(group) > 1 else None,
            "emkd": [round(row["emkd"], 4) for row in group],
            "chamfer_mean": round(statistics.fmean(row["chamfer"] for row in group), 4),
            "seeds": [row["seed"] for row in group],
            "weights": group[0]["weights"],
            "cpu_seconds": round(statistics.fmean(row["cpu_seconds"] for row in group), 1),
        }
        for (column, points), group in groups.items()
    ]


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows for the terminal."""
    lines = [f"{'column':<28}{'points':>7}{'EM-kD':>11}{'+-':>9}{'Chamfer':>11}{'weights':>10}{'CPU s':>8}  seeds"]
    for row in rows:
        spread = "-" if row["emkd_std"] is None else f"{row['emkd_std']:.3f}"
        lines.append(
            f"{row['column']:<28}{row['points_of_patch']:>7}{row['emkd_mean']:>11.3f}{spread:>9}"
            f"{row['chamfer_mean']:>11.3f}{row['weights']:>10}{row['cpu_seconds']:>8.0f}  {len(row['seeds'])}"
        )
    return "\n".join(lines)


def draw(config: DecoderComparisonConfig, data: CloudSet, out: Path, path: Path) -> None:
    """Draw original and decoded clouds of the first seed."""
    originals = data.clouds[:DRAWN_CLOUDS].numpy()
    jobs = [Job(column, config.seeds[0], config.training.points_of_patch) for column in config.columns]
    decoded = {job.column: np.load(job.folder(out) / "decoded.npy") for job in jobs}
    draw_decoded({"original": originals, **decoded}, path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file with fields of DecoderComparisonConfig")
    parser.add_argument("--out", type=Path, required=True, help="folder for all trainings")
    parser.add_argument("--file", default="", help="shapes or clouds, in place of the config's")
    parser.add_argument("--seeds", type=int, nargs="+", help="only these; their table is no result")
    parser.add_argument("--result", type=Path, help="JSON file to write")
    parser.add_argument("--picture", type=Path, help="PNG of original and decoded clouds")


def run(args: argparse.Namespace) -> int:
    """Train what is missing, print the table and write what was asked for."""
    config = load_config(DecoderComparisonConfig, args.config)
    clouds = config.training.clouds
    data = load_cloud_set(replace(clouds, file=args.file) if args.file else clouds)
    jobs = jobs_of(config, args.seeds or config.seeds)
    rows = summarize([train_and_score(job, config, data, args.out) for job in jobs])
    print(format_table(rows))
    if args.result:
        command = f"kpconv-ros compare-decoders --config config/{args.config.name} --out OUT --file SHAPES"
        metric = "EM-kD, exact in cells of 1,024: mean squared distance in squares of the clouds' unit (heads: mm^2)"
        about = {"command": command, "metric": metric, "config": config_to_mapping(config), "rows": rows}
        write_results(args.result, {"heads": about})
    if args.picture:
        draw(config, data, args.out, args.picture)
    return 0
