# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models on disk."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from kpconv_ros.checkpoint import load_manifest, load_model, load_network, save_model, update_manifest
from kpconv_ros.model_folder import CheckpointError, file_sha256, find_model
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig

SIZES = KPFCNNConfig(num_classes=2, in_features=2, voxel_size=0.3, width=8, encoder=("simple", "strided", "residual"))
MANIFEST: dict[str, Any] = {
    "name": "tiny",
    "classes": ["unlabeled", "road", "car"],
    "colors": [[0, 0, 0], [1, 2, 3], [4, 5, 6]],
    "sphere_radius": 3.0,
    "features": ["one", "height"],
    "intensity_scale": 1.0,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved model."""
    torch.manual_seed(0)
    save_model(tmp_path / "tiny", KPFCNN(SIZES), MANIFEST)
    return tmp_path / "tiny"


def rewrite(folder: Path, **changes: Any) -> None:
    """Change the manifest by hand."""
    path = folder / "manifest.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_a_model_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    network = KPFCNN(SIZES)
    manifest = save_model(tmp_path / "a" / "b", network, MANIFEST)
    model = load_model(tmp_path / "a" / "b")
    assert model.manifest == manifest and manifest.classes == ("unlabeled", "road", "car")
    assert manifest.voxel_size == 0.3 and manifest.sha256 == file_sha256(tmp_path / "a" / "b" / "weights.safetensors")
    assert model.network.config == SIZES and not model.network.training
    expected, found = network.state_dict(), load_network(tmp_path / "a" / "b" / "weights.safetensors").state_dict()
    assert expected.keys() == found.keys() and all(found[name].equal(expected[name]) for name in expected)
    batch = (torch.rand(20, 3) * 3, torch.tensor([20]), torch.rand(20, 2))
    torch.testing.assert_close(model.network(*batch), network.eval()(*batch), atol=1e-5, rtol=1e-5)
    assert not list((tmp_path / "a" / "b").glob("*.partial"))


def test_a_model_is_found_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KPCONV_ROS_MODELS", str(folder.parent))
    assert find_model("tiny") == folder
    monkeypatch.delenv("KPCONV_ROS_MODELS")
    share = tmp_path / "prefix" / "share" / "kpconv_ros" / "models"
    share.mkdir(parents=True)
    folder.rename(share / "tiny")
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "prefix")]))
    assert load_manifest("tiny").name == "tiny"


def test_an_unknown_model_tells_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPCONV_ROS_MODELS", "/some/models")
    with pytest.raises(CheckpointError, match="model unheard_of: no manifest.yaml in any of .*/some/models/unheard_of"):
        load_model("unheard_of")


def test_missing_weights_are_refused(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"expected the file .*weights.safetensors, which is missing"):
        load_model(folder)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_altered_byte_is_refused(folder: Path, place: int) -> None:
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"expected SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}"):
        load_model(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"features": ["one", "height", "intensity"]},
        {"voxel_size": 0.2},
        {"classes": ["unlabeled", "road"], "colors": [[0, 0, 0], [1, 2, 3]]},
    ],
)
def test_a_manifest_for_other_weights_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    rewrite(folder, **changes)
    with pytest.raises(CheckpointError, match=r"the manifest has .*, the weights expect \(2, 2, 0.3\)"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colors": [[0, 0, 0]]}, "expected a colour for each of 3 classes, got 1"),
        ({"features": ["one", "smell"]}, "features: expected some of one, height, intensity"),
        ({"features": []}, "features: expected some of"),
        ({"sphere_radius": 0.0}, "expected positive"),
        ({"voxel_size": "large"}, "voxel_size: got 'large'"),
        ({"flavour": "vanilla"}, "unknown key 'flavour'"),
    ],
)
def test_a_malformed_manifest_is_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_manifest(folder)


@pytest.mark.parametrize("content", [b"", b"[1, 2", b"just text", b"name: \xff\xfe"])
def test_a_manifest_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.yaml").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"manifest.yaml"):
        load_manifest(folder)


@pytest.mark.parametrize("case", ["left over", "missing", "other shape", "no config", "no safetensors", "bad config"])
def test_weights_that_do_not_fit_their_config_are_refused(folder: Path, case: str) -> None:
    path = folder / "weights.safetensors"
    state, metadata = load_file(path), {"kpfcnn_config": ""}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    if case == "left over":
        state["left.over"] = torch.zeros(1)
    elif case == "missing":
        del state["classifier.bias"]
    elif case == "other shape":
        state["classifier.bias"] = torch.zeros(7)
    elif case == "no config":
        metadata = {"format": "pt"}
    elif case == "bad config":
        metadata = {"kpfcnn_config": '{"num_classes": 2, "width": 9}'}
    save_file(state, path, metadata)
    if case == "no safetensors":
        path.write_bytes(b"not at all")
    with pytest.raises(CheckpointError, match=r"weights.safetensors"):
        load_network(path)
    update_manifest(folder, sha256=file_sha256(path))
    with pytest.raises(CheckpointError, match=r"weights.safetensors"):
        load_model(folder)


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "cpu:x"])
def test_an_unknown_device_is_refused(folder: Path, device: str) -> None:
    with pytest.raises(CheckpointError, match=f"device: expected one of this machine, got {device}"):
        load_model(folder, device)


def test_auto_takes_a_device_that_exists(folder: Path) -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert next(load_model(folder, "auto").network.parameters()).device.type == expected


def test_a_score_is_written_into_the_manifest(folder: Path) -> None:
    before = load_manifest(folder)
    update_manifest(folder, score={"miou": 0.5, "split": "held out"})
    assert load_manifest(folder) == dataclasses.replace(before, score={"miou": 0.5, "split": "held out"})
    load_model(folder)
