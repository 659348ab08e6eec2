# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The log of a training."""

import sys
from pathlib import Path

import pytest

from kpconv_ros.training.log import TrainingLog


def write_steps(out: Path, first: int, last: int, tensorboard: bool = False) -> None:
    """Log the steps after ``first`` up to ``last``, and a validation at the even ones."""
    with TrainingLog(out, first, tensorboard) as log:
        for step in range(first + 1, last + 1):
            log.write(step, {"loss": 1 / step, "accuracy": 0.5})
            if step % 2 == 0:
                log.write(step, {"score": 0.1 * step}, "validation")
            log.flush()


def test_rows_after_the_checkpoint_are_written_once(tmp_path: Path) -> None:
    write_steps(tmp_path, 0, 4)
    with (tmp_path / "losses.csv").open("a") as file:
        file.write("5,0.2")  # cut off by a crash
    write_steps(tmp_path, 3, 6)
    rows = [row.split(",") for row in (tmp_path / "losses.csv").read_text().splitlines()]
    assert rows == [[str(step), f"{1 / step:.5f}", "0.50000"] for step in range(1, 7)]
    assert (tmp_path / "validation.csv").read_text() == "2,0.20000\n4,0.40000\n6,0.60000\n"
    assert not (tmp_path / "tensorboard").exists()


def test_curves_hold_the_same_numbers_and_no_step_twice(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write_steps(tmp_path, 0, 4, tensorboard=True)
    write_steps(tmp_path, 3, 6, tensorboard=True)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = {event.step: event.value for event in events.Scalars("losses/loss")}
    assert len(events.Scalars("losses/loss")) == 6
    assert losses == pytest.approx({step: 1 / step for step in range(1, 7)})
    scores = [(event.step, event.value) for event in events.Scalars("validation/score")]
    assert scores == [(step, pytest.approx(0.1 * step)) for step in (2, 4, 6)]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match="needs the package tensorboard"):
        TrainingLog(tmp_path, 0, tensorboard=True)
    TrainingLog(tmp_path, 0).write(1, {"loss": 1.0})
