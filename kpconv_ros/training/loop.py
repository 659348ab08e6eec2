# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: what any training does with a network, batches and a loss.

A training is a subclass of :class:`TrainingLoop`. It builds its network and data, hands the network to the loop's
``__init__``, and says how a batch is made (:meth:`TrainingLoop.make_batch`), what its loss is
(:meth:`TrainingLoop.compute_loss`) and how the result is written (:meth:`TrainingLoop.export`). The loop owns optimiser
and learning rate, the running average of the weights, checkpoints and the log.
"""

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from kpconv_ros.config_io import config_from_mapping, config_to_mapping
from kpconv_ros.layers.low_precision import has_bfloat16
from kpconv_ros.training.batches import BatchLoader
from kpconv_ros.training.log import TrainingLog
from kpconv_ros.training.loop_config import LoopConfig, learning_rate_factor
from kpconv_ros.training.processes import (
    Objective,
    choose_process_device,
    join_gradients,
    mean_over_processes,
    num_processes,
    process_group,
    process_rank,
)

BatchT = TypeVar("BatchT", bound=tuple[Any, ...])


class TrainingError(RuntimeError):
    """A training that cannot go on."""


class TrainingLoop(ABC, Generic[BatchT]):
    """State of a training; everything that a resumed one needs.

    Attributes:
        network: What is trained and exported.
        companions: Modules trained beside it and not exported, by their name in the checkpoint.
        average: Running average of the network's weights.
        step: Steps taken.
        best: Highest score of a validation.
        leaves_parameters_out: Whether a loss may be independent of some parameters; to be said before ``__init__``.
    """

    network: nn.Module
    config: LoopConfig
    leaves_parameters_out = False

    def __init__(self, config: LoopConfig, network: nn.Module, out: Path, **companions: nn.Module) -> None:
        """Make the optimiser and take up the checkpoint in ``out`` if there is one.

        Args:
            config: A subclass of LoopConfig, as a rule.
            network: With its first weights: seed torch with ``config.seed`` before. It is moved to the device.
            out: Folder of ``checkpoint.pt`` and ``losses.csv``; it exists.
            companions: Modules that are trained beside the network and not exported.

        Raises:
            TrainingError: If the checkpoint belongs to another config or number of processes.
        """
        self.config, self.out, self.step, self.best = config, out, 0, -math.inf
        self.device = choose_process_device(config.device)
        self.bf16 = config.bf16 and has_bfloat16(self.device)
        self.network = network.to(self.device)
        self.companions = {name: module.to(self.device) for name, module in companions.items()}
        self.average = AveragedModel(self.network, avg_fn=self._mix, use_buffers=True)
        self.optimizer = self._make_optimizer()
        self._resume()
        mean = float(mean_over_processes(torch.tensor(float(self.step), device=self.device)))
        if mean != self.step:
            raise TrainingError(f"{out}: expected one folder for all processes, got step {self.step}, mean {mean}")
        modules = nn.ModuleList([self.network, *self.companions.values()])
        objective = Objective(modules, self.compute_loss)
        self._objective = join_gradients(objective, self.leaves_parameters_out, config.shared_norms)

    @abstractmethod
    def make_batch(self, index: int) -> BatchT:
        """Return batch ``index``, a NamedTuple of CPU tensors; the same for the same index. Runs in another thread.

        One process takes batch i in step i; n processes take batches n i to n i + n - 1.
        """

    @abstractmethod
    def compute_loss(self, batch: BatchT) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the network, in training mode, on a batch on the device.

        Several processes average the gradients of their losses. A mean over the elements of a batch becomes one over
        those of all batches if their sum is divided by ``mean_over_processes(number of elements)``.

        Returns:
            The loss, a scalar that can be differentiated, and scalars for the log by name, the same names in the same
            order in each step, detached.
        """

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model."""

    def validate(self) -> float:
        """Return the score of the averaged network on held-out data, higher is better; all processes call it together.

        Raises:
            TrainingError: If the training has none.
        """
        raise TrainingError("validate_every: expected held-out data to validate on, got none")

    def autocast(self) -> torch.autocast:
        """Return the context in which a network runs: bfloat16 where config and device want it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def train_step(self, batch: BatchT) -> dict[str, float]:
        """Take one step; return ``loss`` and the scalars of :meth:`compute_loss`."""
        self.network.train()
        for group in self.optimizer.param_groups:
            factor = learning_rate_factor(self.step, self.config)
            group["lr"] = self.config.learning_rate * group["factor"] * factor
        # Dropout is the same after a resumption, and different in each process.
        # A generator on the CPU takes the low 32 bits of a seed alone, so both numbers are mixed into them.
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, self._index(self.step)]).generate_state(1)[0]))
        loss, scalars = self._objective(self._to_device(batch))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(trained, self.config.clip_norm)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        values = mean_over_processes(torch.stack([loss.detach(), *scalars.values()]).float())
        return dict(zip(("loss", *scalars), values.tolist(), strict=True))

    def draw_batch(self, step: int) -> BatchT:
        """Return the batch that this process trains on in a step."""
        return self.make_batch(self._index(step))

    def _index(self, step: int) -> int:
        return step * num_processes() + process_rank()

    def train(self) -> None:
        """Run to the last step, with a progress bar, a CSV of the losses and checkpoints; process 0 writes them.

        Raises:
            TrainingError: If a loss is not finite.
        """
        smooth: dict[str, float] = {}
        is_first = process_rank() == 0
        with ExitStack() as stack:
            loader = stack.enter_context(BatchLoader(self.draw_batch, range(self.step, self.config.steps)))
            log = stack.enter_context(TrainingLog(self.out, self.step, self.config.tensorboard)) if is_first else None
            sizes = {"initial": self.step, "total": self.config.steps}
            bar = tqdm(loader, desc=self.config.name, **sizes, mininterval=5, disable=not is_first)
            for batch in bar:
                row = self.train_step(batch)
                if not math.isfinite(row["loss"]):
                    raise TrainingError(f"step {self.step}: expected a finite loss, got {row['loss']}")
                smooth = {name: 0.98 * smooth.get(name, value) + 0.02 * value for name, value in row.items()}
                bar.set_postfix({name: f"{value:.3f}" for name, value in smooth.items()}, refresh=False)
                if log is not None:
                    log.write(self.step, row)
                if self._is_due(self.config.validate_every):
                    self._validate(log)
                if log is not None and self.step % self.config.save_every == 0:
                    log.flush()
                    self.save()
        if is_first:
            self.save()

    def _is_due(self, every: int) -> bool:
        return every > 0 and (self.step % every == 0 or self.step == self.config.steps)

    def _validate(self, log: TrainingLog | None) -> None:
        """Score the averaged network; process 0 logs it and exports the best."""
        self.average.module.eval()
        with torch.no_grad():
            score = self.validate()
        if log is None:
            return
        log.write(self.step, {"score": score}, "validation")
        if score > self.best:
            self.best = score
            self.export(self.out / f"{self.config.name}_best")

    @property
    def checkpoint(self) -> Path:
        """File of the resumable state."""
        return self.out / "checkpoint.pt"

    def save(self) -> None:
        """Write the resumable state, at once or not at all."""
        state = {
            "config": config_to_mapping(self.config),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **{name: module.state_dict() for name, module in self.companions.items()},
            "step": self.step,
            "processes": num_processes(),
            "best": self.best,
        }
        temporary = self.checkpoint.with_suffix(".partial")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)

    def _resume(self) -> None:
        if not self.checkpoint.is_file():
            return
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        # A field that came later than the checkpoint has its default there.
        if config_from_mapping(type(self.config), state["config"], str(self.checkpoint)) != self.config:
            raise TrainingError(f"{self.checkpoint} belongs to another config; name another --out, or remove it")
        processes = state.get("processes", 1)
        if processes != num_processes():
            raise TrainingError(f"{self.checkpoint}: expected {processes} processes as before, got {num_processes()}")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, module in self.companions.items():
            module.load_state_dict(state[name])
        self.step, self.best = state["step"], state.get("best", -math.inf)

    def _mix(self, average: Tensor, new: Tensor, num_averaged: Tensor | int) -> Tensor:
        """Return the running average; its decay rises from 0.1, so that the random start is soon forgotten."""
        count = int(num_averaged)
        decay = min(self.config.average, (1 + count) / (10 + count))
        return decay * average + (1 - decay) * new

    def _parameter_groups(self) -> list[dict[str, Any]]:
        offsets = [p for name, p in self.network.named_parameters() if "offset" in name]
        others = [p for name, p in self.network.named_parameters() if "offset" not in name]
        others += [p for module in self.companions.values() for p in module.parameters()]
        groups = [{"params": others, "factor": 1.0}, {"params": offsets, "factor": self.config.offset_factor}]
        return [group for group in groups if group["params"]]

    def _make_optimizer(self) -> torch.optim.Optimizer:
        groups, config = self._parameter_groups(), self.config
        if config.optimizer == "sgd":
            rate, decay = config.learning_rate, config.weight_decay
            return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, weight_decay=decay)
        return torch.optim.AdamW(groups, weight_decay=config.weight_decay)

    def _to_device(self, batch: BatchT) -> BatchT:
        return type(batch)(*(tensor.to(self.device) for tensor in batch))


def run_training(config: LoopConfig, out: Path, make: Callable[[], TrainingLoop[Any]]) -> None:
    """Train, alone or as one of the processes that ``torchrun`` started, and export; a second call goes on.

    Args:
        config: That of the training.
        out: Folder, made if absent, for checkpoint, losses and the model; all processes see the same.
        make: Makes the training; it reads its data here.
    """
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    out.mkdir(parents=True, exist_ok=True)
    with process_group(config.device):
        training = make()
        training.train()
        if process_rank() == 0:
            training.export(out / config.name)
            print(f"wrote {out / config.name}", file=sys.stderr)
