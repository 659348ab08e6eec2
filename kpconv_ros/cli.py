# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ``kpconv-ros`` command: a table of commands, each of them a module that is imported only when it is asked for.

A command's module offers ``add_arguments(parser)`` and ``run(args) -> int``. Its exit status is the command's; 2 means
that what was asked for cannot be done, and one line has said why.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

PROGRAM = "kpconv-ros"
EXIT_ASKED_WRONG = 2
EXIT_INTERRUPTED = 130


class Command(NamedTuple):
    """One command: the words that call it, the module behind it, and a line for the help."""

    words: str
    module: str
    text: str


COMMANDS = (
    Command("segment", "kpconv_ros.evaluation.segment_command", "label every point of a file, with a picture"),
    Command("run", "kpconv_ros.nodes.run", "run a node: segment, register, encode, decode, simulate ..."),
    Command("encode", "kpconv_ros.evaluation.encode_command", "a labelled cloud as map tiles of few bytes"),
    Command("decode", "kpconv_ros.evaluation.decode_command", "the cloud of such tiles"),
    Command("demo", "kpconv_ros.evaluation.demo", "simulator and live segmentation for a minute: table and pictures"),
    Command("perception", "kpconv_ros.evaluation.perception", "the whole system live: table, report and pictures"),
    Command("view", "kpconv_ros.nodes.view_command", "scans, map, way, latency and bandwidth live in a browser"),
    Command("evaluate", "kpconv_ros.evaluation.replay.command", "a recording offline or live, as a report for people"),
    Command("compare", "kpconv_ros.evaluation.report.compare", "reports of evaluate side by side; for CI"),
    Command("score", "kpconv_ros.evaluation.score", "play a labelled bag through the live node and score its labels"),
    Command("score-odometry", "kpconv_ros.evaluation.score_odometry", "a recording through the live register node"),
    Command("score-sequences", "kpconv_ros.evaluation.score_sequences", "score left-out sequences of a KITTI layout"),
    Command("compare-samplers", "kpconv_ros.evaluation.sampler_command", "samplers of scans, judged by registration"),
    Command("draw-transmission", "kpconv_ros.evaluation.transmission_pictures", "a street before and after the link"),
    Command("draw-samples", "kpconv_ros.evaluation.sampler_pictures", "picture of the points that samplers choose"),
    Command("bag-from-kitti", "kpconv_ros.data.kitti_to_bag", "turn a KITTI-layout folder into a rosbag2"),
    Command("import", "kpconv_ros.checkpoint_import", "take over a network of KPConv-PyTorch or Open3D-ML"),
    Command("understand ablation", "kpconv_ros.training.ablation", "train with several numbers of kernel points"),
    Command("understand", "kpconv_ros.evaluation.understanding", "pictures of what a network learned"),
    Command("test segment", "kpconv_ros.evaluation.voting_command", "voting test of a model on a dataset, submissions"),
    Command("test classify", "kpconv_ros.evaluation.classify_command", "accuracy of a model on a dataset of objects"),
    Command("test parts", "kpconv_ros.evaluation.parts_command", "mean IoU of a model on the parts of objects"),
    Command("test samplers", "kpconv_ros.evaluation.samplers_command", "a task on samples: SampleNet, FPS, random"),
    Command("test transmission", "kpconv_ros.evaluation.transmission_command", "rate and distortion of map tiles"),
    Command("test map-registration", "kpconv_ros.evaluation.map_registration_command", "two half-maps find each other"),
    Command("test link", "kpconv_ros.evaluation.link_command", "a map over a 64 kbit/s link while the robot drives"),
    Command("test soak", "kpconv_ros.evaluation.soak.command", "hours at the highest rate, and what grows meanwhile"),
    Command("export", "kpconv_ros.export.command", "write a network as ONNX or for torch.export"),
    Command("train segment", "kpconv_ros.training.segment", "train a segmentation network"),
    Command("cross-validate", "kpconv_ros.training.cross_validation", "train and score a dataset's published folds"),
    Command("train task-network", "kpconv_ros.training.task_network", "train the network behind a sampler of points"),
    Command("train samplenet", "kpconv_ros.training.samplenet", "train a sampler of points for a task network"),
    Command("train patch-sampler", "kpconv_ros.training.patch_sampler", "train the sampler of points for registration"),
    Command("train map-codec", "kpconv_ros.training.map_codec", "train the coder of map tiles"),
    Command("train neural-qaad", "kpconv_ros.training.neural_qaad", "train an autodecoder on a set of clouds"),
    Command("compare-decoders", "kpconv_ros.training.decoder_comparison", "NeuralQAAD beside AtlasNetV2, in EM-kD"),
    Command("compare-trainings", "kpconv_ros.training.comparison", "train variants of one config and score them"),
    Command("train classify", "kpconv_ros.training.classify", "train a network that classifies single objects"),
    Command("train parts", "kpconv_ros.training.parts", "train a network that segments the parts of objects"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    Args:
        argv: Words after the program's name; None takes those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    with_traceback = words[:1] == ["--traceback"]
    words = words[1:] if with_traceback else words
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if words else EXIT_ASKED_WRONG
    command = find_command(words)
    if command is None:
        known = ", ".join(entry.words for entry in COMMANDS)
        return _complain(f"unknown command {' '.join(words[:2])!r}, expected one of: {known}")
    try:
        return run_command(command, words[len(command.words.split()) :])
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if with_traceback or not is_explained(error):
            raise
        return _complain(f"{command.words}: {error}")


def find_command(words: Sequence[str]) -> Command | None:
    """The command whose words come first in ``words``, or None."""
    for command in COMMANDS:
        parts = command.words.split()
        if list(words[: len(parts)]) == parts:
            return command
    return None


def run_command(command: Command, arguments: Sequence[str]) -> int:
    """Import a command's module, read its arguments and run it."""
    module = importlib.import_module(command.module)
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} {command.words}", description=command.text)
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(list(arguments))))


def is_explained(error: Exception) -> bool:
    """Whether an error's own text tells a user what to do: one of this package, a missing file or a missing package."""
    ours = any(kind.__module__.split(".")[0] == "kpconv_ros" for kind in type(error).__mro__)
    file_trouble = isinstance(error, OSError) and error.filename is not None
    return ours or file_trouble or isinstance(error, ModuleNotFoundError)


def help_text() -> str:
    """The list of commands."""
    width = max(len(command.words) for command in COMMANDS)
    lines = [f"  {command.words:<{width}}  {command.text}" for command in COMMANDS]
    head = f"usage: {PROGRAM} [--traceback] COMMAND ...\n\nSemantic segmentation of live lidar by KPConv.\n\ncommands:"
    tail = f"\n{PROGRAM} COMMAND --help tells a command's arguments; --traceback shows where an error came from."
    return "\n".join([head, *lines, tail])


def _complain(text: str) -> int:
    print(f"{PROGRAM}: {text}", file=sys.stderr)
    return EXIT_ASKED_WRONG


if __name__ == "__main__":
    sys.exit(main())
