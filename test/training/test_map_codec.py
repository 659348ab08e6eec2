# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the coder of map tiles, on boxes that stand on the ground."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from kpconv_ros.codec.tile import TileContent
from kpconv_ros.config_io import ConfigError
from kpconv_ros.data.subtile_set import SubtileSet
from kpconv_ros.evaluation.tile_distortion import measure_distortion
from kpconv_ros.map_codec_checkpoint import load_map_codec
from kpconv_ros.networks.neural_qaad import NeuralQAADConfig
from kpconv_ros.networks.subtile_codec import SubtileCodecConfig
from kpconv_ros.pipelines.latent_tile_coder import LatentTileCoder
from kpconv_ros.pipelines.subtile_coder import LatentTileCoderConfig
from kpconv_ros.training import map_codec
from kpconv_ros.training.loop import run_training
from kpconv_ros.training.map_codec import MapCodecTraining, MapCodecTrainingConfig, turn_and_mirror

NETWORK = SubtileCodecConfig(
    NeuralQAADConfig(num_patches=4, points_per_patch=16, latent_size=8, shared_widths=(32, 32), patch_widths=(16,)),
    encoder_widths=(32,),
    levels=3,
    highest_price=0.02,
)
CONFIG = MapCodecTrainingConfig(
    name="tiny", steps=8, save_every=4, batch=8, decoded_points=12, target_points=48, network=NETWORK, device="cpu"
)


def make_box(generator: np.random.Generator, count: int) -> np.ndarray:
    """Return points of the ground and of a box of random place and height."""
    points = generator.uniform([-2.5, -2.5, 0.0], [2.5, 2.5, 0.05], (count, 3))
    corner, height = generator.uniform(-2.0, 0.0, 2), generator.uniform(1.0, 3.0)
    inside = (points[:, :2] > corner).all(1) & (points[:, :2] < corner + 2.0).all(1)
    points[inside, 2] += height
    return points


def make_boxes(*_: object) -> SubtileSet:
    """Return 64 of them as four tiles."""
    generator = np.random.default_rng(0)
    points = np.stack([make_box(generator, 96) for _ in range(64)]).astype(np.float16)
    counts = generator.integers(300, 1500, (4, 16))
    return SubtileSet(points, counts.reshape(-1).astype(np.float32), counts, np.zeros_like(counts))


@pytest.fixture(autouse=True)
def boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on boxes in place of maps."""
    monkeypatch.setattr(map_codec, "load_subtiles", make_boxes)


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_resumed_training_ends_at_the_same_weights_and_tables(tmp_path: Path) -> None:
    run_training(CONFIG, tmp_path / "whole", lambda: MapCodecTraining(CONFIG, tmp_path / "whole"))
    first = MapCodecTraining(CONFIG, make(tmp_path / "parts"))
    for step in range(4):
        first.train_step(first.draw_batch(step))
    first.save()
    run_training(CONFIG, tmp_path / "parts", lambda: MapCodecTraining(CONFIG, tmp_path / "parts"))
    whole, parts = (load_map_codec(tmp_path / name / "tiny")[0].state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_training_brings_boxes_nearer_and_the_exported_coder_tells_a_tile_of_them(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=150, batch=16, learning_rate=8e-3, average=0.9)
    generator = np.random.default_rng(1)
    middles = np.stack(np.meshgrid(*[np.arange(4) * 5 + 2.5] * 2), -1).reshape(-1, 2)
    cloud = np.concatenate([make_box(generator, 400) + [*middle, 0.0] for middle in middles]).astype(np.float32)
    tile = TileContent(cloud, np.zeros(len(cloud), np.uint8))
    chamfers = []
    for steps in (1, 150):
        changed, out = dataclasses.replace(config, steps=steps), tmp_path / str(steps)
        run_training(changed, out, lambda changed=changed, out=out: MapCodecTraining(changed, out))  # type: ignore[misc]
        coder = LatentTileCoder.from_pretrained(str(out / "tiny"), LatentTileCoderConfig(steps=0))
        payload = coder.encode(tile, 200)
        assert payload is not None
        chamfers.append(measure_distortion(cloud, coder.decode(payload).points).chamfer_m)
    assert chamfers[1] < 0.75 * chamfers[0], chamfers


def test_the_price_of_bits_is_paid_at_the_coarsest_level(tmp_path: Path) -> None:
    training = MapCodecTraining(dataclasses.replace(CONFIG, steps=80, learning_rate=8e-3), tmp_path)
    parts = [training.train_step(training.draw_batch(step)) for step in range(80)]
    late = {name: np.mean([part[name] for part in parts[-30:]]) for name in ("coarse_bits", "fine_bits")}
    early = np.mean([part["coarse_bits"] for part in parts[:10]])
    assert late["coarse_bits"] < 0.8 * early and late["coarse_bits"] < 0.8 * late["fine_bits"]


def test_training_goes_on_from_weights_of_other_rates_and_not_of_other_sizes(tmp_path: Path) -> None:
    run_training(CONFIG, tmp_path / "first", lambda: MapCodecTraining(CONFIG, tmp_path / "first"))
    start = load_map_codec(tmp_path / "first" / "tiny")[0].network
    finer = dataclasses.replace(CONFIG, network=dataclasses.replace(NETWORK, lowest_price=1e-6, most=63))
    training = MapCodecTraining(finer, make(tmp_path / "second"), start=start)
    assert torch.equal(training.network.decoder.input_cloud, start.decoder.input_cloud)
    other = dataclasses.replace(CONFIG, network=dataclasses.replace(NETWORK, columns=5))
    with pytest.raises(ConfigError, match="--start"):
        MapCodecTraining(other, make(tmp_path / "third"), start=start)


def test_sub_tiles_are_turned_and_mirrored_about_their_middle() -> None:
    corner = torch.tensor([[[1.0, 2.0, 3.0]]]).expand(200, 1, 3)
    turned = turn_and_mirror(corner, np.random.default_rng(0))
    found = {tuple(point) for point in turned[:, 0].tolist()}
    assert found == {(x * a, y * b, 3.0) for x, y in ((1, 2), (2, 1)) for a in (-1, 1) for b in (-1, 1)}
