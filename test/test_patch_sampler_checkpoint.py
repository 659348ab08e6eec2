# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sampler on disk."""

from pathlib import Path

import pytest
import torch

from kpconv_ros.checkpoint import load_model
from kpconv_ros.model_folder import CheckpointError
from kpconv_ros.networks.patch_sampler import PatchSamplerConfig, PatchSamplerNet
from kpconv_ros.patch_sampler_checkpoint import load_patch_sampler, save_patch_sampler

SMALL = PatchSamplerConfig(slots=4, widths=(16, 32), hidden=(32,), score_width=8, patch_points=12)


def trained() -> PatchSamplerNet:
    """Return a network with statistics in its batch norms."""
    torch.manual_seed(0)
    network = PatchSamplerNet(SMALL)
    for _ in range(3):
        network(torch.randn(8, 12, 9))
    return network.eval()


def test_what_is_saved_is_loaded_with_its_sizes_and_folded(tmp_path: Path) -> None:
    network, patches = trained(), torch.randn(3, 12, 9)
    manifest = save_patch_sampler(tmp_path / "mine", network, "mine")
    loaded = load_patch_sampler(tmp_path / "mine")
    assert loaded.config == SMALL and manifest.kind == "patch-sampler" and not loaded.training
    with torch.no_grad():
        torch.testing.assert_close(loaded(patches), network(patches), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(loaded.score_points(patches[..., 3:]), network.score_points(patches[..., 3:]))
    assert "running_mean" not in "".join(loaded.state_dict())


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    save_patch_sampler(tmp_path, trained(), "mine")
    path = tmp_path / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="altered"):
        load_patch_sampler(tmp_path)


def test_a_sampler_and_a_model_that_labels_are_not_confused(tmp_path: Path) -> None:
    save_patch_sampler(tmp_path, trained(), "mine")
    with pytest.raises(CheckpointError, match="kind"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match="manifest of a sampler"):
        load_patch_sampler("street_sim")
