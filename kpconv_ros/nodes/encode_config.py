# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the nodes encode and decode beside those of their pipelines."""

from __future__ import annotations

from dataclasses import dataclass

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.nodes.scan_node import ScanNodeConfig

INPUTS = ("map", "scans")
LINK_DOMAIN_TEXT = "DDS domain of the link, in which only its two topics are; -1: that of the node"
MAX_DOMAIN = 101  # above, ports collide with ephemeral ones on Linux


@dataclass(frozen=True)
class EncodeConfig(ScanNodeConfig):
    """What the node encode hears, and where it sends."""

    input: str = param("map", "map: labelled clouds in the map frame (~/input/map); scans: labelled scans with poses "
                       "(~/input/points)")  # fmt: skip
    link_domain: int = param(-1, LINK_DOMAIN_TEXT, -1, MAX_DOMAIN)

    def __post_init__(self) -> None:
        """Check the input."""
        super().__post_init__()
        if self.input not in INPUTS:
            raise ConfigError(f"input: got '{self.input}', expected one of {', '.join(INPUTS)}")


@dataclass(frozen=True)
class DecodeConfig(ScanNodeConfig):
    """Where the node decode hears, and what it publishes."""

    link_domain: int = param(-1, LINK_DOMAIN_TEXT, -1, MAX_DOMAIN)
    map_period: float = param(1.0, "time between two maps on ~/output/map [s]", 0.0, 3600.0, live=True)
    request_period: float = param(0.25, "time between two requests for what is missing [s]", 0.1, 3600.0, live=True)
    silence_limit: float = param(
        10.0, "time without a message after which the diagnostics warn [s]", 0.1, 3600.0, live=True
    )
