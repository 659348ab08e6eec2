# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``kpconv-ros segment FILE -o OUT``: label every point of a file, with a picture."""

from __future__ import annotations

import argparse
import time

import numpy as np

from kpconv_ros.data.clouds import read_cloud, write_cloud
from kpconv_ros.evaluation.pictures import draw_labelled_cloud
from kpconv_ros.pipelines.segmenter import Segmentation, Segmenter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words of the command."""
    parser.add_argument("file", help="cloud to label: .bin, .pcd, .ply, .las, .laz or .npy")
    parser.add_argument(
        "-o", "--output", required=True, help="file to write: .ply, .pcd, .las, .laz, .npy, .npz or .label"
    )
    parser.add_argument("--model", default="street_sim", help="name of a model, or its folder (default %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default %(default)s)")
    parser.add_argument("--votes", type=float, default=2.0, help="tests of each place (default %(default)s)")
    parser.add_argument("--picture", help="picture (.png) of the labelled cloud to write")


def run(args: argparse.Namespace) -> int:
    """Label the file, write the result, and say what was found."""
    cloud = read_cloud(args.file)
    segmenter = Segmenter.from_pretrained(args.model, args.device)
    started = time.perf_counter()
    result = segmenter.segment(cloud.points, cloud.intensity, args.votes)
    seconds = time.perf_counter() - started
    colors = np.array(result.colors, np.uint8)[result.labels]  # (N, 3)
    write_cloud(
        args.output, cloud.points, result.labels, result.confidence, colors, cloud.intensity, origin=cloud.origin
    )
    print(summarize(result, seconds))
    print(f"wrote {args.output}")
    if args.picture:
        print(f"wrote {draw_labelled_cloud(cloud.points, result.labels, result.classes, result.colors, args.picture)}")
    return 0


def summarize(result: Segmentation, seconds: float) -> str:
    """Tell how many points each class has, most first, and what it took."""
    counts = np.bincount(result.labels, minlength=len(result.classes))
    lines = [f"{len(result.labels):,} points in {result.num_spheres} spheres, {seconds:.1f} s"]
    for label in np.argsort(-counts, kind="stable"):
        if counts[label]:
            share = counts[label] / len(result.labels)
            confidence = result.confidence[result.labels == label].mean()
            lines.append(f"  {result.classes[label]:<20}{counts[label]:>10,}{share:>8.1%}  confidence {confidence:.2f}")
    return "\n".join(lines)
