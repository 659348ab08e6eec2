# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated street maps kept on disk, since casting their rays takes seconds each."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from kpconv_ros.config_io import config_to_mapping
from kpconv_ros.data.prepared_files import default_folder
from kpconv_ros.data.street_maps import StreetMap, StreetMapConfig, simulate_map

FORMAT = 1
"""Counts up when the same config and seed give another map: older files are then left alone."""


def load_simulated_maps(
    seeds: Iterable[int], config: StreetMapConfig, cache: Path | None = None
) -> Iterator[StreetMap]:
    """Yield the maps of streets, simulated where the cache lacks them.

    Args:
        seeds: One for each street.
        config: How scans become a map.
        cache: Folder of the files, made if absent; None is that of the user.
    """
    folder = default_folder() if cache is None else cache
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        known = json.dumps([FORMAT, seed, config_to_mapping(config)])
        path = folder / f"street_map_{hashlib.sha256(known.encode()).hexdigest()[:16]}.npz"
        if not path.is_file():
            temporary = path.with_suffix(".partial.npz")
            np.savez(temporary, **simulate_map(seed, config)._asdict())
            temporary.replace(path)
        with np.load(path, allow_pickle=False) as file:
            yield StreetMap(file["points"], file["labels"])
