# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The models that are shipped: each is whole, small, described, and says what it scored."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from kpconv_ros.checkpoint import load_manifest, load_model
from kpconv_ros.map_codec_checkpoint import load_map_codec
from kpconv_ros.patch_sampler_checkpoint import load_patch_sampler
from kpconv_ros.pipelines.latent_tile_coder import DEFAULT_MAP_CODEC, LatentTileCoder
from kpconv_ros.pipelines.patch_sampler import DEFAULT_SAMPLER

ALL = sorted(path.parent for path in (Path(__file__).parents[1] / "models").glob("*/manifest.yaml"))
SAMPLERS = [folder for folder in ALL if "\nkind: patch-sampler\n" in (folder / "manifest.yaml").read_text("utf-8")]
CODECS = [folder for folder in ALL if "\nkind: map-codec\n" in (folder / "manifest.yaml").read_text("utf-8")]
MODELS = [folder for folder in ALL if folder not in SAMPLERS + CODECS]
MOST_BYTES, MOST_BYTES_IN_ALL, MOST_BYTES_OF_SAMPLER = 20 << 20, 60 << 20, 2 << 20


def test_the_default_model_is_there_and_free_to_use() -> None:
    assert "street_sim" in [path.name for path in MODELS]
    assert load_manifest("street_sim").licence == "Apache-2.0"


def test_weights_are_small() -> None:
    sizes = [path.stat().st_size for folder in ALL for path in folder.glob("*.safetensors")]
    assert max(sizes) <= MOST_BYTES and sum(sizes) <= MOST_BYTES_IN_ALL


@pytest.mark.parametrize("folder", MODELS, ids=lambda path: path.name)
def test_a_model_loads_and_labels_points(folder: Path) -> None:
    model = load_model(folder)
    assert model.manifest.name == folder.name
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) * 3
    features = torch.ones(500, len(model.manifest.features))
    with torch.inference_mode():
        logits = model.network(points, torch.tensor([500]), features)
    assert logits.shape == (500, len(model.manifest.classes) - 1) and bool(logits.isfinite().all())


@pytest.mark.parametrize("folder", MODELS, ids=lambda path: path.name)
def test_a_card_names_the_weights_and_scores_say_how_they_came(folder: Path) -> None:
    manifest, card = load_manifest(folder), (folder / "README.md").read_text(encoding="utf-8")
    assert manifest.sha256 in card
    if "KITTI" in card:
        assert "non-commercial" in manifest.licence and "non-commercial" in card
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert {"data", "miou", "iou", "split", "seed", "command"} <= set(scores)
    assert set(scores["iou"]) == set(manifest.classes[1:])
    present = [value for value in scores["iou"].values() if value is not None]
    assert scores["miou"] == pytest.approx(sum(present) / len(present), abs=2e-3)


@pytest.mark.parametrize("folder", SAMPLERS, ids=lambda path: path.name)
def test_a_sampler_loads_and_its_card_names_the_weights(folder: Path) -> None:
    network = load_patch_sampler(folder)
    patches = torch.rand(3, network.config.patch_points, 3 + network.config.num_features)
    with torch.inference_mode():
        assert bool(network(patches).isfinite().all())
    manifest = yaml.safe_load((folder / "manifest.yaml").read_text("utf-8"))
    assert manifest["sha256"] in (folder / "README.md").read_text("utf-8") and manifest["name"] == folder.name
    assert (folder / "weights.safetensors").stat().st_size <= MOST_BYTES_OF_SAMPLER


@pytest.mark.parametrize("folder", CODECS, ids=lambda path: path.name)
def test_a_map_codec_loads_and_its_card_names_the_weights(folder: Path) -> None:
    coder, (codec, manifest) = LatentTileCoder.from_pretrained(folder), load_map_codec(folder)
    for table in codec.read_tables()[:3]:
        assert (table.sum(axis=-1) == 1 << 16).all() and table.min() > 0
    card = (folder / "README.md").read_text("utf-8")
    assert manifest.sha256 in card and manifest.name == folder.name and f"{coder.decoder_hash:08x}" in card
    if "KITTI" in card:
        assert "non-commercial" in manifest.licence and "non-commercial" in card


def test_the_default_map_codec_is_there_and_free_to_use() -> None:
    assert load_map_codec(DEFAULT_MAP_CODEC)[1].licence == "Apache-2.0"


def test_the_default_sampler_is_there() -> None:
    assert DEFAULT_SAMPLER in [folder.name for folder in SAMPLERS]
