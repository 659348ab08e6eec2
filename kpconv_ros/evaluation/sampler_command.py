# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros compare-samplers``: points that samplers choose in two real scans, judged by their registration.

Both scans are sampled, independently, to equal numbers of points, out of the same candidates; the same solver starts
from the same wrong guess. A second pass samples the source anew where the first one put it.
"""

import argparse
import shlex
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from kpconv_ros.evaluation.results_file import write_results
from kpconv_ros.evaluation.sampler_pairs import Pair, load_pairs
from kpconv_ros.evaluation.sampler_trials import Outcome, Trial, draw_error, run_trials
from kpconv_ros.networks.patch_sampler import PatchSamplerNet
from kpconv_ros.pipelines.patch_sampler import DEFAULT_SAMPLER, AnchorSampler, PatchSampler
from kpconv_ros.registration.error import RegistrationError
from kpconv_ros.registration.sampled import SampledConfig
from kpconv_ros.registration.samplers import AllPoints, Sampler, make_sampler

HAND_MADE = ("random", "fps", "voxel", "nss", "planar_voxel")
FAILED_DEGREES, FAILED_METRES = 1.0, 0.3
KEY = "samplers"
LOCK_KEY = "grid_locking"
Key = tuple[str, int, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("root", type=Path, help="folder that holds sequences/, in KITTI layout with poses")
    parser.add_argument("--sequences", nargs="+", required=True, help="sequences to report on")
    parser.add_argument("--chosen-on", nargs="*", default=[], help="sequences that served for choices: not reported")
    parser.add_argument("--model", default=DEFAULT_SAMPLER, help="name or folder of the learned sampler")
    parser.add_argument("--points", nargs="+", type=int, default=[400, 128], help="points of each scan")
    parser.add_argument("--gaps", nargs="+", type=int, default=[1, 2, 3, 4, 5], help="scans between those of a pair")
    parser.add_argument("--pairs", type=int, default=2, help="pairs of each sequence and gap")
    parser.add_argument("--guesses", type=int, default=2, help="wrong guesses of each pair")
    parser.add_argument("--distance", type=float, default=0.3, help="of a guess, along each axis, metres (sigma)")
    parser.add_argument("--angle", type=float, default=1.0, help="of a guess, about each axis, degrees (sigma)")
    parser.add_argument("--offset", type=float, default=1.0, help="of the guesses that test for locks, metres")
    parser.add_argument("--passes", type=int, default=2, help="how often the source is sampled")
    parser.add_argument("--seed", type=int, default=0, help="of guesses and random samplers")
    parser.add_argument("--out", type=Path, help="JSON file in which the tables are written, other keys are kept")


def run(args: argparse.Namespace) -> int:
    """Run all trials, print two tables and write them."""
    torch.set_num_threads(1)
    unfit = set(args.sequences) & set(args.chosen_on)
    if unfit:
        raise RegistrationError(f"--sequences: expected none of those chosen on, got {sorted(unfit)}")
    samplers = make_samplers(args.model)
    pairs = [
        pair
        for name in tqdm(args.sequences, desc="references")
        for pair in load_pairs(args.root, name, tuple(args.gaps), args.pairs)
    ]
    outcomes = collect(samplers, pairs, args)
    locks = collect_locks({name: sampler for name, sampler in samplers.items() if name != "full"}, pairs, args)
    rows = [
        summarize(key, found) for key, found in sorted(outcomes.items(), key=lambda item: (-item[0][1], item[0][2]))
    ]
    lock_rows = [
        {"sampler": name, "points": points, "passes": number, "slope": _round(np.median([o.kept for o in found]), 3),
         "failures": sum(map(has_failed, found)), "trials": len(found)}
        for (name, points, number), found in locks.items()
    ]  # fmt: skip
    print(format_table(rows))
    print(format_table(lock_rows))
    if args.out:
        write_results(args.out, {KEY: rows, LOCK_KEY: lock_rows, f"{KEY}_setting": describe(args, len(pairs))})
    return 0


def make_samplers(model: str) -> dict[str, Sampler]:
    """Return the samplers that are compared, by name; warmed up, so that compilation is not timed.

    Two of them tell what the training is worth: "untrained", and "unmoved" with the learned score alone.
    """
    learned = PatchSampler.from_pretrained(model)
    unmoved = PatchSampler.from_pretrained(model)
    with torch.no_grad():
        unmoved.network.offsets.weight.zero_()
        unmoved.network.offsets.bias.zero_()
    torch.manual_seed(0)
    untrained = PatchSampler(PatchSamplerNet(learned.network.config).eval())
    anchors = AnchorSampler(learned.network.config)
    samplers: dict[str, Sampler] = {"samplenet": learned, "unmoved": unmoved, "untrained": untrained}
    samplers["anchors"] = anchors
    samplers |= {name: make_sampler(name) for name in HAND_MADE} | {"full": AllPoints()}
    cloud = np.random.default_rng(0).normal(0.0, 10.0, (2000, 3)).astype(np.float32)
    for sampler in samplers.values():
        sampler.sample(cloud, 50)
    return samplers


def collect(samplers: dict[str, Sampler], pairs: list[Pair], args: argparse.Namespace) -> dict[Key, list[Outcome]]:
    """Run every pair from random guesses; the number of points of "full" is 0."""
    generator = np.random.default_rng(args.seed)
    errors = [draw_error(generator, args.distance, args.angle) for _ in range(args.guesses * len(pairs))]
    trials = [
        Trial(pairs[number // args.guesses], error, args.points, args.passes, args.seed + number)
        for number, error in enumerate(errors)
    ]
    return run_all(samplers, trials, "pairs")


def collect_locks(
    samplers: dict[str, Sampler], pairs: list[Pair], args: argparse.Namespace
) -> dict[Key, list[Outcome]]:
    """Run the first pair of each sequence and gap from guesses that are off by the same distance in four directions."""
    firsts = {(pair.sequence, pair.gap): pair for pair in reversed(pairs)}
    trials = []
    for number, pair in enumerate(firsts.values()):
        for direction in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            error = np.eye(4)
            error[:2, 3] = args.offset * np.array(direction)
            trials.append(Trial(pair, error, args.points[:1], args.passes, args.seed + number))
    return run_all(samplers, trials, "offsets")


def run_all(samplers: dict[str, Sampler], trials: list[Trial], name: str) -> dict[Key, list[Outcome]]:
    """Return the outcomes of all trials."""
    outcomes: dict[Key, list[Outcome]] = defaultdict(list)
    for trial in tqdm(trials, desc=name):
        for key, found in run_trials(samplers, trial, SampledConfig()).items():
            outcomes[key].append(found)
    return outcomes


def has_failed(outcome: Outcome) -> bool:
    """Whether a registration ended too far from the truth."""
    return outcome.rotation > FAILED_DEGREES or outcome.translation > FAILED_METRES


def summarize(key: Key, outcomes: list[Outcome]) -> dict[str, Any]:
    """Return one row of the table."""
    name, _, number = key
    rotation, translation = (np.array([o[i] for o in outcomes]) for i in (0, 1))
    return {
        "sampler": name,
        "points": round(float(np.median([o.points for o in outcomes]))),
        "passes": number,
        "rotation_deg": _round(np.median(rotation), 3),
        "rotation_deg_p90": _round(np.percentile(rotation, 90), 3),
        "translation_m": _round(np.median(translation), 4),
        "translation_m_p90": _round(np.percentile(translation, 90), 4),
        "failures": sum(map(has_failed, outcomes)),
        "trials": len(outcomes),
        "ms": _round(np.median([o.sample_ms for o in outcomes]), 1),
        "solve_ms": _round(np.median([o.solve_ms for o in outcomes]), 1),
    }


def describe(args: argparse.Namespace, num_pairs: int) -> dict[str, Any]:
    """Return what the tables were made of."""
    words = [f"{name} {' '.join(map(str, value))}" for name, value in (
        ("--sequences", args.sequences), ("--chosen-on", args.chosen_on), ("--points", args.points),
        ("--gaps", args.gaps), ("--pairs", [args.pairs]), ("--guesses", [args.guesses]), ("--seed", [args.seed]),
    ) if value]  # fmt: skip
    return {
        "reported_on": args.sequences,
        "chosen_on": args.chosen_on,
        "pairs": num_pairs,
        "guess": f"sigma {args.distance} m and {args.angle} degrees each axis; offsets of {args.offset} m",
        "failure": f"above {FAILED_DEGREES} degree or {FAILED_METRES} m",
        "truth": "generalized ICP on all points from the poses of the dataset",
        "ms": "median of one call of the sampler on a scan's voxels, planes given, one thread",
        "command": f"kpconv-ros compare-samplers ROOT {' '.join(words)} --model {shlex.quote(Path(args.model).name)}",
    }


def format_table(rows: list[dict[str, Any]]) -> str:
    """Return rows of equal keys as a Markdown table."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([str(row[head]) for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _round(value: Any, digits: int) -> float:
    return round(float(value), digits) + 0.0  # no -0.0
