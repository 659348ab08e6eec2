# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros test soak``: hours of scans at the highest rate that holds, and what grows meanwhile."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from kpconv_ros.data.recordings import open_recording
from kpconv_ros.evaluation.replay.options import PARTS, EvaluateOptions, parameters_of
from kpconv_ros.evaluation.report.machine import describe_machine, list_versions
from kpconv_ros.evaluation.results_file import write_results
from kpconv_ros.evaluation.soak.live import run_soak
from kpconv_ros.evaluation.soak.picture import draw_memory
from kpconv_ros.evaluation.soak.samples import SAMPLES_FILE, SampleFile, read_notes
from kpconv_ros.evaluation.soak.summary import HELD, summarise

FLAT = 0.05
"""Share by which memory may grow."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("bag", type=Path, nargs="?", help="what is played there and back: a bag or a KITTI-layout folder; without it "
        "the samples of an earlier run, killed or not, are summed up")  # fmt: skip
    add("--sequence", default="", help="sequence of a KITTI-layout folder, such as 00")
    add("--hours", type=float, default=2.0, help="how long (default 2)")
    add("--rate", type=float, help="scans a second; the highest that holds is searched where it is not given")
    add("--trial", type=float, default=EvaluateOptions.trial, help="length of a trial of a rate [s]")
    add("--max-rate", type=float, default=EvaluateOptions.max_rate, help="highest rate to try [Hz]")
    add("--period", type=float, default=10.0, help="between two looks at the processes [s]")
    add("--parts", default=",".join((*PARTS, TRANSMISSION)), help="what runs, by commas")
    add("--model", default=EvaluateOptions.model, help="name or folder of the segmentation's model")
    add("--device", default="auto", help="where the network runs: auto, cpu or cuda")
    for name in ("segment", "register"):
        add(f"--{name}", action="append", default=[], metavar="NAME:=VALUE", help=f"parameter of {name}")
    add("--out", type=Path, default=Path("out/soak"), help="folder for samples and logs (default out/soak)")
    add("--results", type=Path, help="JSON file of the figures (default OUT/soak.json)")
    add("--picture", type=Path, help="picture of the memory over time (default OUT/soak.png)")


TRANSMISSION = "transmission"


def run(args: argparse.Namespace) -> int:
    """Soak and sum up; 0 if nothing grew and nothing was dropped at four fifths of the rate, else 1.

    Raises:
        SoakError: If no rate holds, or there are no samples to sum up.
        BagError: If there is nothing to play.
        LiveRunError: If a node died; what was sampled before is summed up.
    """
    if args.bag is None:
        return report(args)
    if not args.bag.exists():
        raise FileNotFoundError(2, "no such recording", str(args.bag))
    args.out.mkdir(parents=True, exist_ok=True)
    recording = open_recording(args.bag, args.sequence)
    file, why = SampleFile(args.out / SAMPLES_FILE), "as planned"
    command = " ".join(["kpconv-ros", *(Path(word).name for word in sys.argv[1:])])
    file.note("begin", command=command, machine=describe_machine(), versions=list_versions())
    try:
        with_map_link = TRANSMISSION in args.parts.split(",")
        run_soak(recording, options_of(args), args.rate, args.hours, args.period, with_map_link, file)
    except KeyboardInterrupt:
        why = "interrupted"
    except Exception as error:
        why = f"{type(error).__name__} {error}".strip()
        raise
    finally:
        file.note("end", why=why)
        file.close()
    return report(args)


def options_of(args: argparse.Namespace) -> EvaluateOptions:
    """What is run, as for an evaluation."""
    return EvaluateOptions(
        bag=args.bag,
        sequence=args.sequence,
        mode="rate",
        parts=tuple(part for part in args.parts.split(",") if part and part != TRANSMISSION),
        model=args.model,
        device=args.device,
        segment=parameters_of(args.segment),
        register=parameters_of(args.register),
        out=args.out,
        max_rate=args.max_rate,
        trial=args.trial,
    )


def report(args: argparse.Namespace) -> int:
    """Sum up the samples of a folder: figures, picture, a few lines; 1 if something grew."""
    notes = read_notes(args.out / SAMPLES_FILE)
    figures = summarise(notes, args.out)
    results, picture = args.results or args.out / "soak.json", args.picture or args.out / "soak.png"
    write_results(results, figures)
    draw_memory(notes.samples, title_of(figures), picture)
    print(text_of(figures))
    print(f"written: {results}, {picture}")
    return int(not is_flat(figures))


def is_flat(figures: dict[str, Any]) -> bool:
    """Whether no process grew, in memory, handles or threads, and nothing was dropped at four fifths of the rate."""
    is_held = all(late <= early for kind in HELD for early, late in figures[kind].values() if None not in (early, late))
    most = figures["memory_growth_most"]
    return is_held and most is not None and most <= FLAT and figures["dropped_at_80_percent"] == 0


def title_of(figures: dict[str, Any]) -> str:
    """Above the picture."""
    return f"{figures['hours']:.2f} h at {figures['rate_hz']:.2f} scans a second"


def text_of(figures: dict[str, Any]) -> str:
    """A table for people."""
    minutes = figures["window_s"] / 60.0
    lines = [f"{title_of(figures)}; {figures['scans']} scans, dropped {figures['dropped_share']}; at 80 % of the rate "
             f"{figures['dropped_at_80_percent']} of {figures['scans_at_80_percent']}",
             f"{'process':16} {'MiB then':>9} {'MiB last':>9} {'growth':>8}  handles  threads   "
             f"(windows of {minutes:.1f} minutes)"]  # fmt: skip
    for name, growth in figures["memory_growth"].items():
        (before, after), share = figures["memory_mb"][name], "-" if growth is None else f"{growth:.1%}"
        held = "  ".join(f"{early}-{late}" for early, late in (figures[kind][name] for kind in HELD))
        lines.append(f"{name:16} {before or 0:9.1f} {after or 0:9.1f} {share:>8}  {held}")
    return "\n".join(lines)
