# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every training can be told, whatever the network and the data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from kpconv_ros.config_io import ConfigError, config_from_mapping, config_to_mapping, load_config, param, parse_yaml

ConfigT = TypeVar("ConfigT", bound="LoopConfig")


@dataclass(frozen=True)
class LoopConfig:
    """Optimiser, learning rate, checkpoints: the part of a training's config that the loop reads."""

    name: str = param("model", "name of the model")
    steps: int = param(3000, "optimiser steps", 1)
    optimizer: Literal["adamw", "sgd"] = param("adamw", "AdamW on one cycle, or momentum SGD that decays by epochs")
    learning_rate: float = param(3e-3, "highest learning rate", 0.0)
    weight_decay: float = param(1e-2, "of the optimiser", 0.0)
    warm_up: float = param(0.05, "share of the steps in which the learning rate of AdamW rises", 0.0, 1.0)
    momentum: float = param(0.98, "of SGD", 0.0, 1.0)
    epoch_steps: int = param(500, "steps of an epoch of SGD", 1)
    epoch_decay: float = param(0.1 ** (1 / 100), "factor of the learning rate of SGD after each epoch", 0.0, 1.0)
    offset_factor: float = param(0.1, "learning rate of deformable offsets relative to the rest", 0.0, 1.0)
    regularization: float = param(0.1, "weight of the offset regularisation, Eq. (6)", 0.0)
    average: float = param(0.998, "decay of the running average of the weights, which is what is saved", 0.0, 1.0)
    clip_norm: float = param(10.0, "largest norm of the gradient of all that is trained", 0.0)
    bf16: bool = param(True, "matrix products in bfloat16 where the device has instructions for it")
    seed: int = param(0, "of weights and batches", 0)
    num_threads: int = param(0, "threads of torch; 0 leaves them as they are", 0)
    device: str = param("auto", "where to train")
    shared_norms: bool = param(True, "batch norms over the batches of all processes, where there are several")
    tensorboard: bool = param(False, "curves for TensorBoard beside the CSV")
    validate_every: int = param(0, "steps between validations; 0 is never", 0)
    validation_batches: int = param(20, "batches of a validation", 1)
    save_every: int = param(200, "steps between checkpoints", 1)


def learning_rate_factor(step: int, config: LoopConfig) -> float:
    """Return the learning rate of a step relative to the highest.

    AdamW: linear rise, then half a cosine down to 0. SGD: a decay after each epoch.
    """
    if config.optimizer == "sgd":
        return float(config.epoch_decay ** (step // config.epoch_steps))
    rise = max(1, round(config.warm_up * config.steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, config.steps - rise)))


def load_changed_config(
    config_class: type[ConfigT], path: Path, settings: Sequence[str], changes: Mapping[str, Any]
) -> ConfigT:
    """Read a training's config from YAML and change some of its fields.

    Args:
        config_class: The dataclass.
        path: YAML file.
        settings: ``FIELD=VALUE`` with the value in YAML, as from ``--set``.
        changes: Further fields; they win.

    Raises:
        ConfigError: If the file or a setting is wrong.
    """
    wrong = [setting for setting in settings if "=" not in setting]
    if wrong:
        raise ConfigError(f"--set: expected FIELD=VALUE, got {wrong[0]!r}")
    pairs = (setting.split("=", 1) for setting in settings)
    read = config_to_mapping(load_config(config_class, path))
    changed = {name: parse_yaml(value) for name, value in pairs}
    return config_from_mapping(config_class, {**read, **changed, **changes}, "arguments")
