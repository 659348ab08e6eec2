# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same training with several numbers of kernel points."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from kpconv_ros.checkpoint import load_network
from kpconv_ros.cli import main
from kpconv_ros.data.clips import Clip, simulated_clips
from kpconv_ros.data.simulator import SimulatorConfig
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.training import ablation
from kpconv_ros.training.segment_config import SegmentTrainingConfig
from kpconv_ros.training.segment_data import make_cutter
from kpconv_ros.training.spheres import Sphere

TINY = {"width": 8, "batch_points": 300, "voxel_size": 0.8, "sphere_radius": 6.0, "device": "cpu"}
SIZES = {**TINY, "num_clips": 1, "num_scans": 1}


def test_a_table_has_a_row_for_each_size_and_seed(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**SIZES, "steps": 1}))
    words = ["understand", "ablation", "--config", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out")]
    words += ["--kernel-sizes", "1", "4", "--seeds", "0", "1", "--held-out", "7", "9", "--spheres", "3"]
    assert main([*words, "--set", "num_threads=1"]) == 0
    rows = [line.split(",") for line in (tmp_path / "out" / "ablation.csv").read_text().splitlines()]
    assert rows[0] == ["kernel_points", "seed", "parameters", "miou"]
    assert [row[:2] for row in rows[1:]] == [["1", "0"], ["1", "1"], ["4", "0"], ["4", "1"]]
    assert (tmp_path / "out" / "ablation.png").read_bytes()[:4] == b"\x89PNG"
    networks = [load_network(tmp_path / "out" / name / "street_sim" / "weights.safetensors") for name in
                ("k01_seed0", "k01_seed1", "k04_seed0")]  # fmt: skip
    assert [network.config.num_kernel_points for network in networks] == [1, 1, 4]
    one, other = (network.encoder[0].conv.weights for network in networks[:2])
    assert not one.equal(other)
    spheres = ablation.cut_held_out(SegmentTrainingConfig(**SIZES), ["7", "9"], 3)
    assert float(rows[3][3]) == pytest.approx(ablation.score_spheres(networks[2], spheres), abs=1e-5)


def test_left_out_spheres_are_those_of_the_streets_asked_for_and_always_the_same() -> None:
    config = SegmentTrainingConfig(**SIZES)
    first, again, other = (ablation.cut_held_out(config, [seed], 4) for seed in ("7", "7", "9"))
    clips = list(simulated_clips(1, 1, 7, SimulatorConfig(sensor_height=config.sensor_height)))
    cutter, generator = make_cutter(replace(config, augmentation=ablation.UNALTERED), clips), np.random.default_rng(0)
    for sphere, same in zip(first, again, strict=True):
        expected = cutter.cut(generator)
        assert sphere.points.equal(same.points) and sphere.points.equal(expected.points)
        assert sphere.labels.equal(same.labels) and sphere.labels.equal(expected.labels)
    assert not any(sphere.points.equal(another.points) for sphere in first for another in other)


def test_left_out_spheres_are_not_altered(clip: Clip) -> None:
    config = SegmentTrainingConfig(**{**TINY, "voxel_size": 0.3}, augmentation=ablation.UNALTERED)
    cutter, generator = make_cutter(config, [clip]), np.random.default_rng(0)
    spheres = [cutter.cut(generator) for _ in range(5)]
    heights = np.concatenate([sphere.features[sphere.labels == 0, 1] for sphere in spheres])  # of the floor, label 1
    assert len(heights) > 100
    assert (np.abs(heights) < 1e-5).mean() > 0.95  # all but voxels that hold points of the wall too


def test_the_score_is_the_mean_iou_over_all_spheres() -> None:
    torch.manual_seed(0)
    network = KPFCNN(KPFCNNConfig(num_classes=2, in_features=1, voxel_size=0.5, width=8, encoder=("simple", "strided")))
    torch.nn.init.zeros_(network.classifier.weight)
    network.eval().classifier.bias.data = torch.tensor([1.0, 0.0])  # always the first class
    points = torch.rand(4, 3)
    spheres = [Sphere(points, torch.ones(4, 1), torch.tensor(labels)) for labels in ([0, 0, 0, -1], [0, 1, 1, -1])]
    assert ablation.score_spheres(network, spheres) == pytest.approx((4 / 6 + 0 / 2) / 2)
