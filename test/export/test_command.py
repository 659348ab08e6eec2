# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command that exports, and its check."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from solids import write_modelnet

from kpconv_ros.checkpoint import save_model, save_network
from kpconv_ros.cli import main
from kpconv_ros.data.shape_datasets import MODELNET_CLASSES, read_modelnet_mesh
from kpconv_ros.export import command
from kpconv_ros.export.description import ExportError
from kpconv_ros.export.files import ExportedNetwork, load_exported
from kpconv_ros.export.inputs import lay_out_object, prepare_inputs
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.padded import PaddedNetwork
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN, PartKPFCNNConfig
from kpconv_ros.shape_checkpoint import load_shape_model, save_shape_model

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


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of solids as ModelNet40 has them, and in it ``out/modelnet40``, a KP-CNN trained on them for a step."""
    root = tmp_path_factory.mktemp("objects")
    write_modelnet(root, {"train": 1, "test": 1})
    blocks = ("simple", "deformable_strided")
    fields = {"voxel_size": 0.1, "width": 8, "hidden": 16, "blocks": blocks, "batch_points": 500, "steps": 1}
    fields |= {"features": ["one", "z"], "device": "cpu", "cache": str(root / "kept"), "prepare_processes": 1}
    (root / "config.yaml").write_text(json.dumps(fields | {"name": "modelnet40"}))
    words = ["--config", root / "config.yaml", "--root", root, "--out", root / "out"]
    assert main(["train", "classify", *map(str, words)]) == 0
    return root


@pytest.mark.parametrize("file_format", ["onnx", "pt2"])
def test_a_model_for_objects_is_exported_and_gives_the_same_logits_on_a_mesh(
    objects: Path, tmp_path: Path, file_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if file_format == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package, reason="needs ONNX: pip install -r requirements-train.txt")
    mesh, out = sorted(objects.glob("*/test/*.off"))[0], tmp_path / f"objects.{file_format}"
    model = objects / "out/modelnet40"
    assert main(["export", str(model), "--format", file_format, "-o", str(out), "--check", str(mesh)]) == 0
    said = capsys.readouterr()
    found = re.search(r"largest difference of the logits (\S+) .* ([\d,]+) voxels in 2 calls", said.out)
    assert found is not None and 0 <= float(found[1]) <= 1e-4
    assert "licence of the weights: academic research only" in said.err

    exported, loaded = load_exported(out), load_shape_model(model)
    name = str(mesh.relative_to(objects).with_suffix(""))
    points = read_modelnet_mesh(objects, name, 900, np.random.default_rng(1)).points
    laid_out = lay_out_object(exported.description, points * 7 + 3)  # in any unit and place
    logits = exported.run(prepare_inputs(exported.description, laid_out.points, laid_out.features))
    inputs = (
        torch.from_numpy(laid_out.points),
        torch.tensor([len(laid_out.points)]),
        torch.from_numpy(laid_out.features),
    )
    np.testing.assert_allclose(logits, loaded.network(*inputs).detach().numpy(), atol=1e-4)
    assert np.ptp(logits) > 0.05 and np.linalg.norm(laid_out.points, axis=1).max() == pytest.approx(1, abs=0.1)
    assert exported.description.classes == MODELNET_CLASSES and exported.description.features == ("one", "z")
    assert exported.description.sha256 == loaded.manifest.sha256 and len(laid_out.voxel_of_point) == 900


def test_a_model_for_parts_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = PartKPFCNN(PartKPFCNNConfig(5, 1, 0.5, width=8, encoder=ENCODER, num_parts=(2, 3)))
    fields = {"name": "parts", "data": "shapenetpart", "classes": ("Mug", "Lamp"), "features": ("one",)}
    save_shape_model(tmp_path / "parts", network, fields)
    assert main(["export", str(tmp_path / "parts"), "--format", "pt2", "-o", str(tmp_path / "x.pt2")]) == 2
    assert "expected a KP-FCNN or a KP-CNN, got one with a head for each object class" in capsys.readouterr().err


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
