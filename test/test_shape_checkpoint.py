# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models for single objects on disk."""

from pathlib import Path
from typing import Any

import pytest
import torch

from kpconv_ros.checkpoint import load_model, load_network, save_network
from kpconv_ros.model_folder import CheckpointError
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN, PartKPFCNNConfig
from kpconv_ros.shape_checkpoint import load_shape_model, save_shape_model

ENCODER = ("simple", "strided", "residual")
MANIFEST: dict[str, Any] = {
    "name": "tiny",
    "data": "shapenetpart",
    "classes": ["mug", "lamp"],
    "features": ["one", "z"],
    "augmentation": {"scale": 0.2, "flip": [0.5, 0.5, 0.0], "jitter": 0.002},
}


def make_network(kind: str) -> KPCNN | PartKPFCNN:
    torch.manual_seed(0)
    if kind == "classes":
        return KPCNN(KPCNNConfig(2, 2, 0.3, width=8, encoder=ENCODER, hidden=16)).eval()
    return PartKPFCNN(PartKPFCNNConfig(5, 2, 0.3, width=8, encoder=ENCODER, num_parts=(2, 3))).eval()


@pytest.mark.parametrize("kind", ["classes", "parts"])
def test_a_model_comes_back_as_it_was_saved(tmp_path: Path, kind: str) -> None:
    network = make_network(kind)
    manifest = save_shape_model(tmp_path / "tiny", network, MANIFEST)
    model = load_shape_model(tmp_path / "tiny")
    assert model.manifest == manifest and manifest.voxel_size == 0.3 and manifest.augmentation.flip == (0.5, 0.5, 0.0)
    assert type(model.network) is type(network) and model.network.config == network.config
    expected, found = network.state_dict(), model.network.state_dict()
    assert expected.keys() == found.keys() and all(found[name].equal(expected[name]) for name in expected)


@pytest.mark.parametrize("kind", ["classes", "parts"])
def test_what_was_altered_or_does_not_fit_is_refused(tmp_path: Path, kind: str) -> None:
    network = make_network(kind)
    for changes, told in (
        ({"classes": ["mug"]}, r"the manifest has .* \(1, 2, 0.3\), the weights expect \(2, 2, 0.3\)"),
        ({"features": ["one"]}, r"\(2, 1, 0.3\), the weights expect \(2, 2, 0.3\)"),
    ):
        save_shape_model(tmp_path, network, {**MANIFEST, **changes})
        with pytest.raises(CheckpointError, match=told):
            load_shape_model(tmp_path)
    save_shape_model(tmp_path, network, MANIFEST)
    (tmp_path / "weights.safetensors").write_bytes(b"spoilt")
    with pytest.raises(CheckpointError, match="the file was altered"):
        load_shape_model(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match="which is missing"):
        load_shape_model(tmp_path)


def test_a_model_of_scenes_is_none_of_objects_and_the_other_way_round(tmp_path: Path) -> None:
    save_shape_model(tmp_path / "objects", make_network("classes"), MANIFEST)
    with pytest.raises(CheckpointError, match="unknown key|expected"):
        load_model(tmp_path / "objects")
    with pytest.raises(CheckpointError, match="expected the manifest of a model for single objects"):
        load_shape_model("street_sim")
    plain = KPFCNN(KPFCNNConfig(2, 2, 0.3, width=8, encoder=ENCODER))
    with pytest.raises(CheckpointError, match="expected a KP-CNN or a KP-FCNN with several heads"):
        save_shape_model(tmp_path / "scenes", plain, MANIFEST)  # type: ignore[arg-type]
        load_shape_model(tmp_path / "scenes")


def test_the_weights_alone_carry_the_heads(tmp_path: Path) -> None:
    network = make_network("parts")
    save_network(network, tmp_path / "weights.safetensors")
    loaded = load_network(tmp_path / "weights.safetensors")
    assert isinstance(loaded, PartKPFCNN) and loaded.config.num_parts == (2, 3)
