# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings of NeuralQAAD and its baseline, and their comparison."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from kpconv_ros import cli
from kpconv_ros.config_io import ConfigError, load_config
from kpconv_ros.data.consistent_clouds import CloudSet, CloudSetConfig, load_cloud_set
from kpconv_ros.geometry.earth_mover import matched_distances
from kpconv_ros.neural_qaad_checkpoint import load_neural_qaad
from kpconv_ros.training.decoder_comparison import (
    COLUMNS,
    DecoderComparisonConfig,
    Job,
    jobs_of,
    make_baseline_training,
    summarize,
)
from kpconv_ros.training.folding import MatchedTraining
from kpconv_ros.training.neural_qaad import NeuralQAADTrainingConfig, make_chamfer_training, make_network

TINY = {
    "num_patches": 4,
    "latent_size": 3,
    "points_of_patch": 5,
    "batch_size": 3,
    "encoder_widths": [8, 16],
    "average": 0.0,
    "weight_decay": 0.0,
    "learning_rate": 0.001,
    "device": "cpu",
    "save_every": 4,
    "steps": 10,
    "chamfer_steps": 6,
}


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Four ellipsoids of 96 points, all scaled copies of one."""
    generator = np.random.default_rng(0)
    sphere = generator.normal(size=(96, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    scales = generator.uniform(0.5, 2, (4, 1, 3))
    np.save(tmp_path / "clouds.npy", (sphere * scales).astype(np.float32))
    return tmp_path / "clouds.npy"


def settings(shapes: Path, **changes: object) -> NeuralQAADTrainingConfig:
    fields = {**TINY, "encoder_widths": (8, 16), "clouds": CloudSetConfig(str(shapes), 4, 96), **changes}
    return NeuralQAADTrainingConfig(**fields)  # type: ignore[arg-type]


def start_matched(config: NeuralQAADTrainingConfig, data: CloudSet, out: Path) -> MatchedTraining:
    out.mkdir(exist_ok=True)
    return MatchedTraining(config, data, make_network(config, data), out)


def error_of(training: MatchedTraining) -> float:
    with torch.no_grad():
        folded = training.network(training.network.latents).flatten(1, 2)
    return float(matched_distances(folded, training.data.clouds, training.matches.rows).mean())


def test_both_trainings_run_from_the_command_line_and_a_second_call_finds_them(tmp_path: Path, shapes: Path) -> None:
    config = tmp_path / "config.yaml"
    clouds = {"file": str(shapes), "num_clouds": 4, "num_points": 96}
    config.write_text(yaml.safe_dump({**TINY, "name": "tiny", "clouds": clouds}))
    words = ["train", "neural-qaad", "--config", str(config), "--out", str(tmp_path / "out")]
    assert cli.main(words) == 0
    network = load_neural_qaad(tmp_path / "out" / "tiny")
    assert network(network.latents).shape == (4, 4, 24, 3)
    first = load_neural_qaad(tmp_path / "out" / "chamfer" / "tiny")
    assert first.latents.abs().max() > 0 and not torch.equal(first.latents, network.latents)
    written = (tmp_path / "out" / "tiny" / "weights.safetensors").read_bytes()
    assert cli.main(words) == 0
    assert (tmp_path / "out" / "tiny" / "weights.safetensors").read_bytes() == written


@pytest.mark.parametrize("matching", ["random", "greedy", "reassignment"])
def test_a_killed_matched_training_goes_on_to_the_same_weights_and_matches(
    tmp_path: Path, shapes: Path, matching: str
) -> None:
    config = settings(shapes, matching=matching)
    data = load_cloud_set(config.clouds)
    whole = start_matched(config, data, tmp_path / "whole")
    whole.train()
    halted = start_matched(config, data, tmp_path / "halted")
    for step in range(5):
        halted.train_step(halted.make_batch(step))
    halted.save()
    resumed = start_matched(config, data, tmp_path / "halted")
    assert resumed.step == 5
    resumed.train()
    assert torch.equal(resumed.matches.rows, whole.matches.rows)
    for one, other in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_matches_stay_bijections_and_better_ones_are_learned_better(tmp_path: Path, shapes: Path) -> None:
    after = {}
    for matching in ("random", "greedy", "reassignment"):
        config = settings(shapes, matching=matching, steps=100, learning_rate=0.005, points_of_patch=8)
        training = start_matched(config, load_cloud_set(config.clouds), tmp_path / matching)
        first = training.matches.rows.clone()
        training.train()
        assert all(sorted(cloud) == list(range(96)) for cloud in training.matches.rows.tolist())
        assert torch.equal(first, training.matches.rows) == (matching != "reassignment")
        after[matching] = error_of(training)
    assert after["greedy"] < 0.6 * after["random"] and after["reassignment"] < 0.6 * after["random"]


def test_the_encoder_gives_the_table_its_codes(tmp_path: Path, shapes: Path) -> None:
    config = settings(shapes, chamfer_steps=3)
    data = load_cloud_set(config.clouds)
    training = make_chamfer_training(config, data, tmp_path)
    training.train()
    training.export(tmp_path / "model")
    codes = load_neural_qaad(tmp_path / "model").latents
    parts = data.clouds[:, :80].reshape(4, 4, 20, 3)
    with torch.no_grad():
        expected = torch.stack([training.encoder(part) for part in parts.unbind(1)]).mean(0)
    torch.testing.assert_close(codes, expected)


def test_batches_hold_nothing_twice_and_as_many_points_of_each_patch(tmp_path: Path, shapes: Path) -> None:
    config = settings(shapes)
    data = load_cloud_set(config.clouds)
    for training in (make_chamfer_training(config, data, tmp_path), make_baseline_training(config, data, tmp_path, 2)):
        batch = training.make_batch(3)
        patches = len(training.network.input_cloud)
        assert batch.rows.shape == (patches, 20 // patches) and batch.columns.shape == (3, 20)
        for drawn in (batch.instances[None], batch.rows, batch.columns):
            assert all(len(set(row)) == len(row) for row in drawn.tolist())
        assert not torch.equal(batch.rows, training.make_batch(4).rows)


def test_the_input_cloud_is_one_of_the_clouds(shapes: Path) -> None:
    config = settings(shapes)
    data = load_cloud_set(config.clouds)
    points = sorted(make_network(config, data).input_cloud.detach().flatten(0, 1).tolist())
    assert points in [sorted(cloud) for cloud in data.clouds.tolist()]


def test_settings_that_do_not_fit_the_clouds_are_refused(tmp_path: Path, shapes: Path) -> None:
    data = load_cloud_set(settings(shapes).clouds)
    for changes, text in (
        ({"num_patches": 5}, "divisor of 96"),
        ({"batch_size": 5}, "at most 4 clouds"),
        ({"points_of_patch": 25}, "at most 24"),
    ):
        with pytest.raises(ConfigError, match=text):
            start_matched(settings(shapes, **changes), data, tmp_path)
    other = CloudSet(data.clouds[:3], 1.0)
    with pytest.raises(ConfigError, match=r"\(4, 96\) as the network has, got \(3, 96\)"):
        MatchedTraining(settings(shapes), other, make_network(settings(shapes), data), tmp_path)
    with pytest.raises(ConfigError, match="divisor of 96 and 20"):
        make_baseline_training(settings(shapes), data, tmp_path, 3)


def test_decoders_are_compared_drawn_and_taken_up_again(tmp_path: Path, shapes: Path) -> None:
    clouds = {"file": "absent", "num_clouds": 4, "num_points": 96}
    config = {"training": {**TINY, "clouds": clouds}, "atlasnet_patches": 2, "seeds": [0, 1], "scored_clouds": 2}
    config |= {"converged_steps": 5}
    config["training"] |= {"steps": 3, "chamfer_steps": 2}
    (tmp_path / "compare.yaml").write_text(yaml.safe_dump({**config, "points_of_patch": [5, 10]}))
    result, picture = tmp_path / "result.json", tmp_path / "heads.png"
    words = ["compare-decoders", "--config", str(tmp_path / "compare.yaml"), "--out", str(tmp_path / "out")]
    words += ["--file", str(shapes), "--result", str(result), "--picture", str(picture)]
    assert cli.main(words) == 0
    rows = json.loads(result.read_text())["heads"]["rows"]
    of_table = {row["column"]: row for row in rows if row["points_of_patch"] == 5}
    assert list(of_table) == list(COLUMNS) and len(rows) == 7 + 3
    assert of_table.pop("NeuralQAAD, converged")["seeds"] == [0]
    assert all(row["seeds"] == [0, 1] and row["emkd_mean"] > 0 for row in of_table.values())
    assert picture.stat().st_size > 10_000
    trained = [path.stat().st_mtime_ns for path in sorted((tmp_path / "out").rglob("checkpoint.pt"))]
    assert cli.main(words) == 0
    assert trained == [path.stat().st_mtime_ns for path in sorted((tmp_path / "out").rglob("checkpoint.pt"))]
    assert json.loads(result.read_text())["heads"]["rows"] == rows


def test_shipped_configs_load_and_name_every_column(repository: Path) -> None:
    config = load_config(DecoderComparisonConfig, repository / "config/compare_decoders.yaml")
    jobs = jobs_of(config, config.seeds)
    assert len(jobs) == len(set(jobs)) == 18 + 1 + 2 * 3
    assert load_config(NeuralQAADTrainingConfig, repository / "config/train_neural_qaad.yaml").name == "neural_qaad"
    with pytest.raises(ConfigError, match="got other"):
        jobs_of(DecoderComparisonConfig(columns=("other",)), (0,))


def test_seeds_are_joined_to_mean_and_deviation() -> None:
    rows = [
        {**Job("a", seed, 5)._asdict(), "emkd": value, "chamfer": 1.0, "weights": 7, "cpu_seconds": 2.0}
        for seed, value in enumerate((1.0, 2.0, 6.0))
    ]
    (row,) = summarize(rows)
    assert (row["emkd_mean"], row["emkd_std"], row["seeds"]) == (3.0, pytest.approx(7**0.5, abs=1e-4), [0, 1, 2])
