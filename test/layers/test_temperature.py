# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The temperature of the soft projection."""

import pytest
import torch

from kpconv_ros.config_io import ConfigError
from kpconv_ros.layers.temperature import LearnedTemperature, TemperatureConfig, scheduled_temperature


def test_an_exponential_schedule_falls_by_equal_factors() -> None:
    config = TemperatureConfig("exponential", start=1.0, end=0.01, reach=0.8)
    values = [scheduled_temperature(share, config) for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    assert values == pytest.approx([1.0, 10**-0.5, 0.1, 10**-1.5, 0.01, 0.01])


def test_a_linear_schedule_falls_by_equal_squares() -> None:
    config = TemperatureConfig("linear", start=1.0, end=0.5, reach=0.5)
    values = [scheduled_temperature(share, config) ** 2 for share in (0.0, 0.25, 0.5, 0.9)]
    assert values == pytest.approx([1.0, 0.625, 0.25, 0.25])


def test_a_learned_temperature_falls_to_its_floor_and_stays() -> None:
    temperature = LearnedTemperature(start=0.3, floor=0.1)
    optimizer = torch.optim.SGD(temperature.parameters(), lr=0.05)
    seen = []
    for _ in range(40):
        loss = temperature() ** 2  # Eq. (10)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(temperature().item())
    assert seen[0] == pytest.approx(0.27)
    assert seen == sorted(seen, reverse=True) and seen[-1] == pytest.approx(0.1)
    assert temperature.t.grad is not None and temperature.t.grad.item() == 0.0


@pytest.mark.parametrize("fields", [{"start": 0.1, "end": 0.2}, {"end": 0.0}, {"reach": 0.0}])
def test_a_temperature_that_does_not_fall_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected 0 < end <= start"):
        TemperatureConfig(**fields)  # type: ignore[arg-type]


def test_a_learned_temperature_has_no_schedule() -> None:
    with pytest.raises(ConfigError, match="expected a schedule"):
        scheduled_temperature(0.5, TemperatureConfig("learned"))
