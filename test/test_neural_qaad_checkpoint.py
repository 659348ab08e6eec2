# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NeuralQAAD on disk."""

from pathlib import Path

import pytest
import torch

from kpconv_ros.model_folder import CheckpointError
from kpconv_ros.networks.neural_qaad import NeuralQAAD, NeuralQAADConfig
from kpconv_ros.neural_qaad_checkpoint import load_neural_qaad, save_neural_qaad


def make() -> NeuralQAAD:
    torch.manual_seed(0)
    network = NeuralQAAD(NeuralQAADConfig(4, 5, 6, 3, (8,), (7,)))
    torch.nn.init.normal_(network.latents)
    return network


def test_a_loaded_network_decodes_its_table_as_before(tmp_path: Path) -> None:
    network = make()
    manifest = save_neural_qaad(tmp_path / "m", network, {"name": "m", "unit": 12.5, "steps": 7})
    assert (manifest.unit, manifest.steps, len(manifest.sha256)) == (12.5, 7, 64)
    loaded = load_neural_qaad(tmp_path / "m")
    assert loaded.config == network.config and not loaded.training
    assert torch.equal(loaded(loaded.latents), network(network.latents))


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    save_neural_qaad(tmp_path, make(), {"name": "m"})
    weights = tmp_path / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="was altered"):
        load_neural_qaad(tmp_path)
    with pytest.raises(CheckpointError, match="no manifest"):
        load_neural_qaad(tmp_path / "nothing")
