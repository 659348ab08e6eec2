# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two maps find each other: each is sent as a tile of a few kilobytes, and two tiles give the motion between them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from kpconv_ros.config_io import param
from kpconv_ros.registration.global_registration import GlobalConfig, GlobalResult, register_tiles
from kpconv_ros.registration.keypoints import KeypointConfig, find_keypoints
from kpconv_ros.registration.map_tile import pack_tile, unpack_tile

Array = NDArray[Any]


@dataclass(frozen=True)
class MapRegistrarConfig:
    """What a user may set."""

    keypoints: KeypointConfig = param(KeypointConfig, "how a map is sampled")
    search: GlobalConfig = param(GlobalConfig, "how tiles are registered")


@dataclass(frozen=True)
class MapRegistration:
    """Where the source map lies in the target map."""

    found: GlobalResult
    """The motion, and whether to believe it."""
    total_ms: float
    """Milliseconds."""


class MapRegistrar:
    """Encodes maps and registers what was encoded."""

    def __init__(self, config: MapRegistrarConfig | None = None) -> None:
        """Take over settings; None takes the defaults."""
        self.config = MapRegistrarConfig() if config is None else config

    def encode(self, points: Array, viewpoint: Array) -> bytes:
        """Sample a map into at most 4096 bytes.

        Args:
            points: ``(N, 3)``, metres, map frame, finite.
            viewpoint: ``(3,)``, where it was seen from, for example the sensor's last position.

        Raises:
            RegistrationError: If a shape is wrong, a coordinate is not finite, or too little is salient.
        """
        return pack_tile(find_keypoints(points, viewpoint, self.config.keypoints))

    def register(self, source: bytes, target: bytes) -> MapRegistration:
        """Find ``T_target_source`` of two encoded maps, without a guess.

        Raises:
            RegistrationError: If bytes are no tile, or a tile has too few points.
        """
        started = time.perf_counter()
        found = register_tiles(unpack_tile(source), unpack_tile(target), self.config.search)
        return MapRegistration(found, 1e3 * (time.perf_counter() - started))
