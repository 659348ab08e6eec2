# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an exported file says about itself."""

from pathlib import Path

import pytest

from kpconv_ros.checkpoint import load_manifest, save_network
from kpconv_ros.export.description import Description, ExportError, load_described
from kpconv_ros.model_folder import CheckpointError
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.networks.part_kpfcnn import PartKPFCNN, PartKPFCNNConfig

DESCRIPTION = Description(
    "a name", "KPFCNN", 2, 1, 0.1, (0.25, 0.5), (0.25,), (), "ab12", "CC BY", ("road", "car"), ("one",), 4.0
)


def test_metadata_is_text_and_comes_back() -> None:
    metadata = DESCRIPTION.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert metadata["licence"] == "CC BY" and metadata["classes"] == '["road", "car"]'
    assert Description.from_metadata({**metadata, "else": "x"}) == DESCRIPTION


def test_metadata_of_something_else_is_refused() -> None:
    metadata = DESCRIPTION.to_metadata()
    with pytest.raises(ExportError, match="here: expected the metadata of an exported network, without radii"):
        Description.from_metadata({name: value for name, value in metadata.items() if name != "radii"}, "here")
    with pytest.raises(ExportError, match="voxel_size"):
        Description.from_metadata({**metadata, "voxel_size": '"small"'})
    with pytest.raises(ExportError, match="here"):
        Description.from_metadata({**metadata, "radii": "[1.0,"}, "here")


def test_a_shipped_model_is_described_by_its_manifest() -> None:
    network, description, manifest = load_described("street_sim")
    assert manifest == load_manifest("street_sim")
    assert (description.model, description.network, description.licence) == ("street_sim", "KPFCNN", "Apache-2.0")
    assert description.sha256 == manifest.sha256 and description.classes == manifest.classes[1:]
    assert len(description.classes) == description.num_classes == network.config.num_classes
    assert description.radii == network.config.radii and description.features == manifest.features
    assert not description.classifies_clouds


def test_weights_alone_are_described_by_their_config(tmp_path: Path) -> None:
    config = KPCNNConfig(3, 2, 0.05, width=8, encoder=("simple", "strided"), hidden=8)
    sha256 = save_network(KPCNN(config), tmp_path / "shapes.safetensors")
    network, description, manifest = load_described(str(tmp_path / "shapes.safetensors"))
    assert isinstance(network, KPCNN) and manifest is None and description.classifies_clouds
    assert (description.model, description.sha256, description.licence) == ("shapes", sha256, "unknown")
    assert description.num_levels == 2 and description.classes == description.features == ()


def test_what_is_not_there_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.safetensors"):
        load_described(str(tmp_path / "nothing.safetensors"))
    parts = PartKPFCNNConfig(3, 2, 0.05, width=8, encoder=("simple", "strided"), num_parts=(1, 2))
    save_network(PartKPFCNN(parts), tmp_path / "parts.safetensors")
    with pytest.raises(ExportError, match="expected a KP-FCNN or a KP-CNN, got a PartKPFCNN"):
        load_described(str(tmp_path / "parts.safetensors"))
