# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train on your own scans in KITTI's layout, then label one of them with the new model.

python examples/train_on_folder.py KITTI 00,01 out/my_street 3000
"""

import sys
from pathlib import Path

from kpconv_ros.data.semantic_kitti import KittiSequence
from kpconv_ros.pipelines.segmenter import Segmenter
from kpconv_ros.training.segment import train_segment
from kpconv_ros.training.segment_config import SegmentTrainingConfig


def main(root: str, sequences: str, out: str, steps: str) -> None:
    """Train ``steps`` steps on ``sequences`` of the folder ``root``, which holds ``sequences/``; write to ``out``."""
    config = SegmentTrainingConfig(
        name="my_street",
        data="semantickitti",
        root=root,
        sequences=tuple(sequences.split(",")),
        sensor_height=1.73,  # of your robot
        width=32,  # a small network; 64 is that of the shipped models
        steps=int(steps),
    )
    train_segment(config, Path(out))  # a second call goes on where the first stopped

    segmenter = Segmenter.from_pretrained(str(Path(out) / config.name))
    scan = KittiSequence(Path(root), config.sequences[0]).scan(0)
    result = segmenter.segment(scan.points, scan.intensity)
    print(f"agrees with the labels on {(result.labels == scan.labels).mean():.0%} of the points it was trained on")


if __name__ == "__main__":
    main(*sys.argv[1:])
