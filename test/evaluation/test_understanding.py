# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command that shows what a network learned."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from kitti_layout import write_sequence

from kpconv_ros.checkpoint import load_model, save_model
from kpconv_ros.cli import main
from kpconv_ros.data.semantic_kitti import KittiError, KittiSequence
from kpconv_ros.evaluation.understanding import read_scene
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.pipelines.segmenter import find_ground


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a deformable KP-FCNN with random weights."""
    torch.manual_seed(0)
    encoder = ("simple", "strided", "deformable")
    network = KPFCNN(KPFCNNConfig(num_classes=2, in_features=2, voxel_size=0.5, width=8, encoder=encoder))
    colors = ((0, 0, 0), (255, 0, 0), (0, 255, 0))
    manifest = {"name": "random", "classes": ("unlabeled", "a", "b"), "colors": colors, "sphere_radius": 4.0}
    folder = tmp_path_factory.mktemp("models") / "m"
    save_model(folder, network, {**manifest, "features": ("one", "intensity"), "intensity_scale": 2.0})
    return folder


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cloud with a point that is not finite."""
    points = np.random.default_rng(0).uniform(-6, 6, (2000, 4)).astype(np.float32)
    points[5, 0], points[:, 3] = np.nan, 1.0
    np.save(tmp_path_factory.mktemp("clouds") / "c.npy", points)
    return next(tmp_path_factory.getbasetemp().glob("clouds*/c.npy"))


def scene_arguments(scene: str, **changes: object) -> argparse.Namespace:
    return argparse.Namespace(**{"scene": scene, "sequence": "00", "first": 0, "scans": 1, "seed": 3, **changes})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("erf", "--blocks", "0", "-1"), "block 2 (deformable): 90% within"),
        (("activations", "--block", "1", "--channels", "3"), "wrote"),
        (("activations",), "wrote"),
        (("kernels", "--blocks", "0", "2"), "wrote"),
    ],
)
def test_each_picture_is_made_of_a_file(
    words: tuple[str, ...], told: str, model: Path, cloud: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, out = words[0], tmp_path / "picture.png"
    common = [str(cloud), "-o", str(out), "--model", str(model), "--device", "cpu", "--at", "1", "0", "0"]
    assert main(["understand", picture, *common, *words[1:]]) == 0
    assert out.read_bytes()[:4] == b"\x89PNG"
    said = capsys.readouterr().out
    assert told in said and "which is taken for" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [(("activations", "--channels", "16"), "expected 0 to 15"), (("kernels", "--blocks", "3"), "-3 to 2")],
)
def test_what_is_not_there_is_named(
    words: tuple[str, ...], told: str, model: Path, cloud: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [str(cloud), "-o", str(tmp_path / "p.png"), "--model", str(model), "--device", "cpu"]
    assert main(["understand", words[0], *common, *words[1:]]) == 2
    assert told in capsys.readouterr().err


def test_a_file_is_a_clip_of_one_scan_above_its_ground(model: Path, cloud: Path) -> None:
    clip = read_scene(scene_arguments(str(cloud)), load_model(model, "cpu"))
    assert len(clip.points) == 1 and len(clip.points[0]) == 1999
    assert (clip.intensities[0] == 0.5).all()  # the model's scale is 2
    assert clip.ground_z[0] == pytest.approx(find_ground(clip.points[0]))
    assert clip.sensors[0, 2] == pytest.approx(clip.ground_z[0] + 1.73)


def test_simulated_scans_lie_over_each_other(model: Path) -> None:
    clip = read_scene(scene_arguments("simulator", scans=2), load_model(model, "cpu"))
    assert len(clip.points) == 2 and not clip.sensors[0].any() and clip.sensors[1, 0] > 0.1
    assert clip.ground_z[0] == pytest.approx(-1.9)


def test_scans_of_a_folder_are_laid_over_each_other_by_their_poses(tmp_path: Path, model: Path) -> None:
    write_sequence(tmp_path / "sequences" / "04")
    words = scene_arguments(str(tmp_path), sequence="04", first=1, scans=2)
    clip, scan = read_scene(words, load_model(model, "cpu")), KittiSequence(tmp_path, "04").scan(2)
    np.testing.assert_allclose(clip.sensors, [[0, 0, 0], [1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(clip.points[1], scan.points + [1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(clip.intensities[1], scan.intensity / 2, atol=1e-6)
    assert clip.ground_z.tolist() == pytest.approx([-1.73, -1.73])
    (tmp_path / "sequences" / "04" / "poses.txt").unlink()
    with pytest.raises(KittiError, match="expected poses to lay 2 scans over each other"):
        read_scene(words, load_model(model, "cpu"))
