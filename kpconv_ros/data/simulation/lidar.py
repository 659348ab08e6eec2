# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The spinning lidar: directions of its rays, and what noise, darkness and distance do to its returns."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kpconv_ros.data.simulation.config import SimulatorConfig
from kpconv_ros.data.simulation.ray_casting import Hits

INTENSITY_NOISE = 0.025
HALF_BRIGHTNESS_RANGE = 110.0  # m, where the sensor's own correction leaves half of the intensity


def ray_directions(config: SimulatorConfig) -> NDArray[np.float64]:
    """Unit directions in the sensor frame, (azimuth_steps, rings, 3): counter-clockwise from behind, lowest first."""
    azimuth = np.pi * (2.0 * np.arange(config.azimuth_steps) / config.azimuth_steps - 1.0)[:, None]
    elevation = np.linspace(config.elevation_low, config.elevation_high, config.rings)[None, :]
    x, y = np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation)
    return np.stack([x, y, np.broadcast_to(np.sin(elevation), x.shape)], axis=-1)


def measure_intensity(hits: Hits, rng: Generator) -> NDArray[np.float64]:
    """Intensity of each return, (N,) 0..1."""
    speckle = rng.normal(1.0, 0.06, len(hits.range)) * hits.brightness
    faded = speckle / (1.0 + hits.range / HALF_BRIGHTNESS_RANGE)
    return np.clip(faded + rng.normal(0.0, INTENSITY_NOISE, len(hits.range)), 0.0, 1.0)


def select_returns(hits: Hits, config: SimulatorConfig, rng: Generator) -> NDArray[np.bool_]:
    """Which rays come back, (N,): within range, bright enough for the distance, and not dropped by chance."""
    in_range = (hits.range > config.min_range) & (hits.range < config.max_range)
    needed = 0.10 * (hits.range / 60.0) ** 2
    lost = config.dropouts + 0.6 * np.clip(1.0 - hits.brightness / np.maximum(needed, 1e-9), 0.0, 1.0)
    return np.asarray(in_range & (rng.random(len(hits.range)) >= lost))
