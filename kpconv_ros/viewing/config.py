# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the live view."""

from __future__ import annotations

from dataclasses import dataclass

from kpconv_ros.config_io import ConfigError, param


@dataclass(frozen=True)
class ViewConfig:
    """Where the page is, and how much goes to it."""

    address: str = param("127.0.0.1", "address to serve on; 0.0.0.0: other machines may look on too")
    port: int = param(9090, "port of the page; the next two are for its data and for Rerun's files", 1024, 65533)
    open_browser: bool = param(False, "open the page in this machine's browser")
    save: str = param("", "also write all that is shown to this file (.rrd), which `rerun FILE` plays")
    rate: float = param(5.0, "how often something is drawn at most; what came between is skipped [Hz]", 0.1, 50.0)
    map_period: float = param(3.0, "shortest time between two drawings of a map [s]", 0.1, 600.0)
    scan_points: int = param(30_000, "most points of a scan; more are thinned", 100, 10_000_000)
    map_points: int = param(100_000, "most points of a map; more are thinned", 100, 10_000_000)
    path_points: int = param(5_000, "most places of a trajectory; the oldest go", 10, 1_000_000)
    memory_limit: int = param(256, "most that is kept for browsers that come later; the oldest goes [MB]", 16, 65536)

    def __post_init__(self) -> None:
        """Check the file's name."""
        if self.save and not self.save.endswith(".rrd"):
            raise ConfigError(f"save: got '{self.save}', expected a file name ending in .rrd")
