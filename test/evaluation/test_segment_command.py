# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command that labels a file."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from kpconv_ros.checkpoint import save_model
from kpconv_ros.data.clouds import read_cloud
from kpconv_ros.evaluation import segment_command
from kpconv_ros.model_folder import CheckpointError
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    segment_command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """The folder of a KP-FCNN with random weights, for two classes."""
    torch.manual_seed(0)
    encoder = ("simple", "strided", "residual")
    network = KPFCNN(KPFCNNConfig(num_classes=2, in_features=1, voxel_size=0.5, width=8, encoder=encoder))
    manifest = {"name": "random", "classes": ("unlabeled", "a", "b"), "colors": ((0, 0, 0), (255, 0, 0), (0, 255, 0))}
    save_model(
        tmp_path / "m", network, {**manifest, "sphere_radius": 4.0, "features": ("one",), "intensity_scale": 1.0}
    )
    return tmp_path / "m"


def test_a_file_becomes_a_labelled_file_and_a_picture(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = np.random.default_rng(0).uniform(-6, 6, (2000, 4)).astype(np.float32)
    points.tofile(tmp_path / "in.bin")
    out, picture = tmp_path / "out.ply", tmp_path / "out.png"
    words = [str(tmp_path / "in.bin"), "-o", str(out), "--model", str(model_folder), "--device", "cpu"]
    assert segment_command.run(arguments(*words, "--votes", "1", "--picture", str(picture))) == 0
    written = read_cloud(out)
    np.testing.assert_allclose(written.points, points[:, :3], atol=1e-5)
    assert written.labels is not None and set(np.unique(written.labels)) <= {1, 2}
    assert picture.read_bytes()[:4] == b"\x89PNG"
    said = capsys.readouterr().out
    assert "2,000 points in" in said and f"wrote {out}" in said


def test_an_unknown_model_is_an_error_that_names_it(tmp_path: Path) -> None:
    np.zeros((3, 4), np.float32).tofile(tmp_path / "in.bin")
    with pytest.raises(CheckpointError, match="no_such_model"):
        segment_command.run(
            arguments(str(tmp_path / "in.bin"), "-o", str(tmp_path / "o.ply"), "--model", "no_such_model")
        )
