# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop, without point clouds."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.training.loop import TrainingError, TrainingLoop, run_training
from kpconv_ros.training.loop_config import LoopConfig, load_changed_config


@dataclass(frozen=True)
class LineConfig(LoopConfig):
    """Fit of a line."""

    slope: float = param(2.0, "of the line")


class Pairs(NamedTuple):
    x: Tensor
    y: Tensor


class LineTraining(TrainingLoop[Pairs]):
    """Learns a slope through dropout, and, in a companion, an offset."""

    config: LineConfig

    def __init__(self, config: LineConfig, out: Path) -> None:
        torch.manual_seed(config.seed)
        self.offset = nn.Linear(1, 1)
        super().__init__(
            config, nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1)), out, shift=self.offset
        )

    def make_batch(self, index: int) -> Pairs:
        x = torch.rand(16, 1, generator=torch.Generator().manual_seed(index))
        return Pairs(x, self.config.slope * x + 1)

    def compute_loss(self, batch: Pairs) -> tuple[Tensor, dict[str, Tensor]]:
        gaps = self.network(batch.x) + self.offset(torch.ones(1, 1)) - batch.y
        return gaps.square().mean(), {"gap": gaps.detach().abs().mean()}

    def export(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        torch.save(self.average.module.state_dict(), folder / "line.pt")


def settings(**changes: object) -> LineConfig:
    return LineConfig(**{"steps": 8, "device": "cpu", "save_every": 3, "average": 0.5, **changes})  # type: ignore[arg-type]


def test_a_killed_training_with_dropout_goes_on_to_the_same_weights_and_log(tmp_path: Path) -> None:
    run_training(settings(), tmp_path / "whole", lambda: LineTraining(settings(), tmp_path / "whole"))
    (tmp_path / "halted").mkdir()
    halted = LineTraining(settings(), tmp_path / "halted")
    make, halted.make_batch = halted.make_batch, lambda index: make(index) if index < 5 else 1 / 0  # type: ignore
    with pytest.raises(ZeroDivisionError):
        halted.train()
    resumed = LineTraining(settings(), tmp_path / "halted")
    assert resumed.step == 3
    torch.rand(7)  # what others draw does not matter
    run_training(settings(), tmp_path / "halted", lambda: resumed)
    whole, other = (tmp_path / name for name in ("whole", "halted"))
    assert (other / "losses.csv").read_text() == (whole / "losses.csv").read_text()
    assert len((whole / "losses.csv").read_text().splitlines()) == 8
    states = [torch.load(out / "checkpoint.pt", weights_only=True) for out in (whole, other)]
    for key in ("network", "average", "shift"):
        assert all(tensor.equal(states[1][key][name]) for name, tensor in states[0][key].items())
    exported = torch.load(other / "model" / "line.pt", weights_only=True)
    assert all(tensor.equal(states[0]["average"][f"module.{name}"]) for name, tensor in exported.items())


def test_companions_are_trained_and_kept(tmp_path: Path) -> None:
    training = LineTraining(settings(), tmp_path)
    before = training.offset.weight.detach().clone()
    training.train()
    assert not training.offset.weight.equal(before)
    assert LineTraining(settings(), tmp_path).offset.weight.equal(training.offset.weight)


def test_the_gradients_of_network_and_companions_are_clipped_together(tmp_path: Path) -> None:
    training = LineTraining(settings(clip_norm=0.01, slope=100.0), tmp_path)
    training.train_step(training.draw_batch(0))
    gradients = [p.grad for module in (training.network, training.offset) for p in module.parameters()]
    assert training.offset.weight.grad.abs() > 1e-4
    assert torch.cat([gradient.flatten() for gradient in gradients]).norm() == pytest.approx(0.01, rel=1e-3)


def test_a_checkpoint_from_before_a_field_existed_has_its_default(tmp_path: Path) -> None:
    training = LineTraining(settings(), tmp_path)
    training.save()
    state = torch.load(training.checkpoint, weights_only=True)
    del state["config"]["slope"]
    torch.save({**state, "step": 2}, training.checkpoint)
    assert LineTraining(settings(), tmp_path).step == 2
    with pytest.raises(TrainingError, match="belongs to another config"):
        LineTraining(settings(slope=3.0), tmp_path)


def test_a_training_without_held_out_data_cannot_validate(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="expected held-out data"):
        LineTraining(settings(validate_every=1), tmp_path).train()


def test_settings_win_over_the_file_and_changes_over_both(tmp_path: Path) -> None:
    path = tmp_path / "line.yaml"
    path.write_text("steps: 5\nslope: 1.0\nname: file\n")
    config = load_changed_config(LineConfig, path, ["slope=4", "name=given"], {"name": "changed"})
    assert (config.steps, config.slope, config.name) == (5, 4.0, "changed")
    with pytest.raises(ConfigError, match="expected FIELD=VALUE, got 'slope'"):
        load_changed_config(LineConfig, path, ["slope"], {})
    with pytest.raises(ConfigError, match="unknown key 'sloop'"):
        load_changed_config(LineConfig, path, ["sloop=1"], {})


def test_dropout_differs_from_step_to_step(tmp_path: Path) -> None:
    training = LineTraining(settings(), tmp_path)
    hidden = torch.ones(1, 64)
    seen = []
    training.network[1].register_forward_hook(lambda layer, *_: seen.append(nn.functional.dropout(hidden)))
    for step in range(4):
        training.train_step(training.draw_batch(step))
    assert len({tuple(mask.flatten().tolist()) for mask in seen}) == 4
