# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Service ``~/save_map``: the voted map as a PLY or PCD file, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node

from kpconv_ros.data.clouds import write_cloud

SUFFIXES = (".ply", ".pcd")


class MapService:
    """Writes the map when asked."""

    def __init__(self, node: Node, snapshot_of_map: Callable[[], tuple[Any, Any]]) -> None:
        """Create the service.

        Args:
            node: The node that offers it.
            snapshot_of_map: Gives the MapSnapshot and the model's manifest.

        Raises:
            ImportError: If the package's services were not built.
        """
        try:
            from kpconv_ros.srv import SaveMap
        except ImportError as error:
            raise ImportError("the services of kpconv_ros are not built; run 'make build' (colcon build)") from error
        self._snapshot_of_map, self._logger = snapshot_of_map, node.get_logger()
        self.service = node.create_service(SaveMap, "~/save_map", self._on_save)

    def _on_save(self, request: Any, response: Any) -> Any:
        try:
            snapshot, manifest = self._snapshot_of_map()
            save_map(Path(request.path).expanduser(), snapshot, manifest)
        except Exception as error:  # a full disk or a bad path must not end the node
            response.success, response.message = False, f"{request.path}: {error}"
            self._logger.error(f"save_map: {response.message}")
            return response
        response.success, response.num_voxels = True, len(snapshot.labels)
        response.message = f"wrote {len(snapshot.labels)} voxels to {request.path}"
        return response


def save_map(path: Path, snapshot: Any, manifest: Any) -> None:
    """Write a MapSnapshot to a file, atomically: to a neighbour first, then moved to its name.

    Raises:
        ValueError: If the name does not end in .ply or .pcd, or the map is empty.
        OSError: If the folder does not exist or cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"got a file name ending in '{path.suffix}', expected {' or '.join(SUFFIXES)}")
    if len(snapshot.labels) == 0:
        raise ValueError("the map is empty")
    colors = np.asarray(manifest.colors, np.uint8)[snapshot.labels]
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".map_") as folder:
        written = Path(folder) / f"map{path.suffix.lower()}"
        write_cloud(written, snapshot.points, snapshot.labels, snapshot.confidence, colors, snapshot.intensity)
        with written.open("rb+") as file:
            os.fsync(file.fileno())  # an error of the disk is told while the old file is still there
        os.replace(written, path)
