# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command that exports, and its check."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from kpconv_ros.checkpoint import save_model, save_network
from kpconv_ros.cli import main
from kpconv_ros.export import command
from kpconv_ros.export.description import ExportError
from kpconv_ros.export.files import ExportedNetwork
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.padded import PaddedNetwork

ENCODER = ("simple", "strided")
MANIFEST = {
    "name": "tiny",
    "classes": ("unlabeled", "road", "car"),
    "colors": ((0, 0, 0), (255, 0, 0), (0, 255, 0)),
    "sphere_radius": 4.0,
    "features": ("one", "height", "intensity"),
    "intensity_scale": 1.0,
}


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A file of 800 points with intensities."""
    generator = np.random.default_rng(0)
    points = generator.uniform((-6, -6, -2, 0), (6, 6, 0, 1), (800, 4)).astype(np.float32)
    points[0] = np.nan
    points.tofile(tmp_path / "scan.bin")
    return tmp_path / "scan.bin"


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """The folder of a KP-FCNN with random weights, for two classes."""
    torch.manual_seed(0)
    network = KPFCNN(KPFCNNConfig(num_classes=2, in_features=3, voxel_size=0.5, width=8, encoder=ENCODER))
    save_model(tmp_path / "tiny", network, MANIFEST)
    return tmp_path / "tiny"


def test_a_model_is_exported_and_checked_on_all_its_spheres(
    tmp_path: Path, model_folder: Path, scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "tiny.pt2"
    assert main(["export", str(model_folder), "--format", "pt2", "-o", str(out), "--check", str(scan)]) == 0
    said = capsys.readouterr()
    found = re.search(r"largest difference of the logits (\S+) .* ([\d,]+) voxels in (\d+) calls", said.out)
    assert found is not None and 0 <= float(found[1]) <= 1e-4 and int(found[3]) > 1
    assert f"wrote {out}, licence of the weights: Apache-2.0" in said.err
    assert list(out.parent.iterdir()) == [out]


def test_weights_alone_of_a_deformable_network_are_exported_and_checked(
    tmp_path: Path, scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    network = KPFCNN(KPFCNNConfig(3, 2, 0.5, width=8, encoder=("simple", "deformable_strided")))
    save_network(network, tmp_path / "deform.safetensors")
    words = [str(tmp_path / "deform.safetensors"), "--format", "pt2", "-o", str(tmp_path / "deform.pt2")]
    assert main(["export", *words, "--check", str(scan)]) == 0
    assert "voxels in 1 calls" in capsys.readouterr().out


@pytest.mark.parametrize(("shift", "passes"), [(0.0, True), (5e-5, True), (2e-4, False), (np.nan, False)])
def test_logits_that_differ_fail_the_check(model_folder: Path, scan: Path, shift: float, passes: bool) -> None:
    network, description, _ = command.load_described(str(model_folder))
    padded = PaddedNetwork(network)

    def shifted(inputs: dict[str, np.ndarray]) -> np.ndarray:
        logits = padded(*(torch.from_numpy(array) for array in inputs.values())).numpy()
        logits[3] += np.float32(shift)
        return logits

    exported = ExportedNetwork(description, shifted)
    comparison = command.compare_on_cloud(network, None, exported, command.read_cloud(scan))
    assert comparison.passes == passes and comparison.difference == pytest.approx(shift, abs=1e-5, nan_ok=True)


def test_what_cannot_be_exported_is_one_line(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(model_folder), "--format", "onnx", "-o", str(tmp_path / "x.pt2")]) == 2
    assert "expected a name that ends in .onnx, got" in capsys.readouterr().err
    assert main(["export", "no_such_model", "--format", "onnx", "-o", "x.onnx"]) == 2
    assert "no_such_model" in capsys.readouterr().err
    np.full((5, 4), np.nan, np.float32).tofile(tmp_path / "nan.bin")
    network, description, manifest = command.load_described(str(model_folder))
    exported = ExportedNetwork(description, lambda inputs: inputs["features"])
    with pytest.raises(ExportError, match="expected finite points, got 5 others"):
        command.compare_on_cloud(network, manifest, exported, command.read_cloud(tmp_path / "nan.bin"))
