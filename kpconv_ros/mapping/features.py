# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Input features of a network, by name: the one place that training and inference share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Column = TypeVar("Column")
COLOR_NAMES = ("red", "green", "blue")
FEATURE_NAMES = ("one", "height", "intensity", "range", *COLOR_NAMES)


class FeatureError(ValueError):
    """A feature that nothing here can compute."""


def build_features(
    names: Sequence[str], height: Array, intensity: Array, ranges: Array, colors: Array | None = None
) -> Array:
    """Stack the named features of M points.

    Args:
        names: From :data:`FEATURE_NAMES`: "one" is 1 everywhere and tells the network where there is something,
            "range" is the logarithm of 1 plus the range, as what it changes (density, intensity) fades with it;
            "red", "green" and "blue" are a channel of the colour each, so that a name is a column.
        height: ``(M,)`` metres above the ground under the sensor.
        intensity: ``(M,)`` 0..1.
        ranges: ``(M,)`` metres, mean distance from which a point was seen.
        colors: Red, green and blue, ``(M, 3)`` 0..1, or None where points have none.

    Returns:
        ``(M, len(names))`` float32.

    Raises:
        FeatureError: On an unknown name, or none, or a colour of points that have none.
    """
    columns: dict[str, Array] = {
        "one": np.ones(len(height), np.float32),
        "height": height,
        "intensity": intensity,
        "range": np.log1p(ranges),
    }
    if colors is not None:
        columns |= dict(zip(COLOR_NAMES, colors.T, strict=True))
    elif set(names) & set(COLOR_NAMES):
        raise FeatureError(f"features: got {', '.join(names)}, but these points have no colour")
    chosen = _choose(names, columns)
    return np.stack(chosen, axis=1).astype(np.float32)


def build_device_features(names: Sequence[str], height: Tensor, intensity: Tensor, ranges: Tensor) -> Tensor:
    """Do as :func:`build_features` with tensors of points that have no colour: ``(M, len(names))`` float32."""
    columns = {"one": torch.ones_like(height), "height": height, "intensity": intensity, "range": ranges.log1p()}
    return torch.stack(_choose(names, columns), dim=1).float()


def _choose(names: Sequence[str], columns: Mapping[str, Column]) -> list[Column]:
    if not names or any(name not in columns for name in names):
        raise FeatureError(f"features: expected some of {', '.join(FEATURE_NAMES)}, got {', '.join(names) or 'none'}")
    return [columns[name] for name in names]
