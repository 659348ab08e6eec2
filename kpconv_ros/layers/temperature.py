# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The temperature of the soft projection, which falls in training: on a schedule, or learned.

Lang et al., "SampleNet: Differentiable Point Cloud Sampling", CVPR 2020, section 3.2, Eq. (10), Figure 8 and Table 1: a
schedule does as well as a learned temperature.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from kpconv_ros.config_io import ConfigError, param


@dataclass(frozen=True)
class TemperatureConfig:
    """How the temperature falls. Lengths are in the unit of the points."""

    kind: Literal["exponential", "linear", "learned"] = param("exponential", "schedule, or a parameter of the network")
    start: float = param(1.0, "first temperature", 0.0)
    end: float = param(0.02, "lowest temperature", 0.0)
    reach: float = param(0.8, "share of the training after which a schedule has come to its end", 0.0, 1.0)

    def __post_init__(self) -> None:
        """Check that it falls.

        Raises:
            ConfigError: If it does not, or reaches 0.
        """
        if not 0 < self.end <= self.start or not 0 < self.reach <= 1:
            raise ConfigError(f"expected 0 < end <= start and 0 < reach, got {self.end}, {self.start}, {self.reach}")


def scheduled_temperature(progress: float, config: TemperatureConfig) -> float:
    """Return the temperature of a schedule.

    Args:
        progress: Share of the training that is over, 0 to 1.
        config: ``exponential``: t falls by the same factor in equal times; ``linear``: t^2 falls by the same amount in
            equal times (Figure 8).

    Raises:
        ConfigError: If the temperature is learned.
    """
    share = min(max(progress / config.reach, 0.0), 1.0)
    if config.kind == "exponential":
        return float(config.start * (config.end / config.start) ** share)
    if config.kind == "linear":
        return float((config.start**2 + share * (config.end**2 - config.start**2)) ** 0.5)
    raise ConfigError("kind: expected a schedule, exponential or linear, got a learned temperature")


class LearnedTemperature(nn.Module):
    """The temperature as a parameter, which the projection loss t^2, Eq. (10), drives down to a floor."""

    def __init__(self, start: float = 1.0, floor: float = 0.1) -> None:
        """Start at ``start``; at ``floor`` the gradient ends. The unit is that of the points."""
        super().__init__()
        self.floor = floor
        self.t = nn.Parameter(torch.tensor(float(start)))

    def forward(self) -> Tensor:
        """Return the temperature, a scalar; it can be differentiated while it is above the floor."""
        return self.t.abs().clamp(min=self.floor)
