# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros understand erf|activations|kernels``: pictures of what a network learned, at one place of a scene.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.3: learned features (Figure 6) and effective receptive
fields (Figure 7).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.checkpoint import Model, load_model
from kpconv_ros.data.clips import Clip, LabelledScan, clip_around_first
from kpconv_ros.data.clouds import read_cloud
from kpconv_ros.data.semantic_kitti import KittiError, KittiSequence
from kpconv_ros.data.simulator import Simulator, SimulatorConfig
from kpconv_ros.evaluation.understanding_pictures import draw_kernels, draw_values
from kpconv_ros.pipelines.segmenter import SENSOR_HEIGHT, find_ground
from kpconv_ros.pipelines.sphere_classifier import PipelineError, SphereClassifier
from kpconv_ros.pipelines.sphere_probe import SphereProbe

SIMULATOR = "simulator"
SCAN_PERIOD = 0.1  # s
DECADES = 3.0  # powers of ten of a receptive field that are coloured
SHARE = 0.9  # of a receptive field, whose radius is told
SHOWN_CHANNELS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words of the command."""
    pictures = parser.add_subparsers(dest="picture", required=True, metavar="PICTURE")
    for name, draw, text in (
        ("erf", draw_receptive_fields, "effective receptive field: which points a block's response depends on"),
        ("activations", draw_activations, "which points activate channels of a block"),
        ("kernels", draw_placed_kernels, "kernel points of blocks, deformed if they are, among their neighbours"),
    ):
        words = pictures.add_parser(name, help=text, description=text)
        _add_scene_arguments(words)
        is_one = name == "activations"
        text = "from 0, or from the end if negative (default %(default)s, the last one)"
        words.add_argument("--block" if is_one else "--blocks", type=int, nargs=None if is_one else "+", help=text)
        words.set_defaults(draw=draw, **({"block": -1} if is_one else {"blocks": [-1]}))
        if is_one:
            text = f"channels of the block (default: the {SHOWN_CHANNELS} that vary most)"
            words.add_argument("--channels", type=int, nargs="+", help=text)


def _add_scene_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scene", help=f"file of a cloud, folder of KITTI's layout, or the word {SIMULATOR}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="picture (.png) to write")
    parser.add_argument("--model", default="street_sim", help="name of a model, or its folder (default %(default)s)")
    parser.add_argument("--at", type=float, nargs=3, default=(8.0, 0.0, -1.0), metavar=("X", "Y", "Z"),
                        help="place, metres, in the frame of the first scan (default 8 0 -1)")  # fmt: skip
    parser.add_argument("--radius", type=float, help="of what is seen, metres (default: the model's spheres)")
    parser.add_argument("--sequence", default="00", help="of the folder (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="scan, of the folder or the simulator")
    parser.add_argument("--scans", type=int, default=1, help="scans laid over each other (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="street of the simulator")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Draw the picture."""
    model = load_model(args.model, args.device)
    probe = SphereProbe(model, read_scene(args, model), np.array(args.at), args.radius)
    place = ", ".join(f"{value:.2f}" for value in probe.center)
    print(f"{len(probe.points):,} voxels around ({place}) m, which is taken for {probe.label}")
    print(f"wrote {args.draw(probe, args)}")
    return 0


def read_scene(args: argparse.Namespace, model: Model) -> Clip:
    """Read or simulate the scans that the arguments name, in the frame of the first one's sensor.

    Raises:
        CloudError: If a file holds no cloud.
        KittiError: If the folder is not of KITTI's layout, or several scans are asked for and have no poses.
    """
    scale = SphereClassifier(model).scale_intensity
    steps = range(args.first, args.first + args.scans)
    if args.scene == SIMULATOR:
        simulator = Simulator(seed=args.seed)
        turns = [simulator.scan(step * SCAN_PERIOD) for step in steps]
        scans = [_scan(turn.points, scale(turn.intensity, len(turn.points)), turn.T_map_sensor) for turn in turns]
        return clip_around_first(scans, SimulatorConfig.sensor_height)
    if Path(args.scene).is_dir():
        sequence = KittiSequence(args.scene, args.sequence)
        posed = [sequence.scan(step) for step in steps]
        if args.scans > 1 and posed[0].T_map_sensor is None:
            raise KittiError(f"{args.scene}: expected poses to lay {args.scans} scans over each other, got none")
        scans = [_scan(scan.points, scale(scan.intensity, len(scan.points)), scan.T_map_sensor) for scan in posed]
        return clip_around_first(scans, SENSOR_HEIGHT)
    cloud = read_cloud(args.scene)
    finite = np.isfinite(cloud.points).all(axis=1)
    points, intensity = cloud.points[finite], scale(cloud.intensity, len(cloud.points))[finite]
    ground = find_ground(points)
    sensor = np.array([[0.0, 0.0, ground + SENSOR_HEIGHT]])
    return Clip((points,), (intensity,), (np.zeros(len(points), np.uint8),), sensor, np.array([ground]))


def _scan(points: NDArray[Any], intensity: NDArray[Any], pose: NDArray[Any] | None) -> LabelledScan:
    return LabelledScan(points, intensity, np.zeros(len(points), np.uint8), np.eye(4) if pose is None else pose)


def draw_receptive_fields(probe: SphereProbe, args: argparse.Namespace) -> Path:
    """Draw the effective receptive field of blocks, a panel each."""
    fields = [probe.receptive_field(block) for block in args.blocks]
    titles = []
    for block, field in zip(args.blocks, fields):
        radius = field.radius_of_share(probe.points, SHARE)
        titles.append(
            f"{name_block(probe, block)}: {SHARE:.0%} within {radius:.1f} m, none beyond {field.radius:.1f} m"
        )
        print(titles[-1])
    meaning = f"influence on the response at the green dot ({probe.label}), relative to the largest"
    values = [field.values for field in fields]
    return draw_values(probe.points, values, titles, args.output, meaning, DECADES, fields[0].place)


def draw_activations(probe: SphereProbe, args: argparse.Namespace) -> Path:
    """Draw channels of a block, a panel each.

    Raises:
        PipelineError: If there is no such channel.
    """
    responses = probe.activations(args.block)  # (N, C)
    channels = args.channels or np.argsort(-responses.std(axis=0), kind="stable")[:SHOWN_CHANNELS].tolist()
    if not 0 <= min(channels) <= max(channels) < responses.shape[1]:
        raise PipelineError(f"channels: expected 0 to {responses.shape[1] - 1}, got {channels}")
    titles = [f"{name_block(probe, args.block)}, channel {channel}" for channel in channels]
    values = [responses[:, channel] for channel in channels]
    return draw_values(probe.points, values, titles, args.output, "activation, relative to the largest")


def draw_placed_kernels(probe: SphereProbe, args: argparse.Namespace) -> Path:
    """Draw the kernels of blocks at the place, a column each."""
    kernels = [probe.kernel(block) for block in args.blocks]
    return draw_kernels(kernels, [name_block(probe, block) for block in args.blocks], args.output)


def name_block(probe: SphereProbe, block: int) -> str:
    """Return a block's index, from 0, and kind."""
    names = probe.network.config.encoder
    return f"block {block % len(names)} ({names[block].replace('_', ' ')})"
