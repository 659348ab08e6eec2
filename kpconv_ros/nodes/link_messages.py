# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The generated classes of the link's two messages."""

from __future__ import annotations

from typing import Any, NamedTuple


class LinkClasses(NamedTuple):
    """The generated classes."""

    tile: Any
    request: Any


def link_classes() -> LinkClasses:
    """The messages LatentTile and TileRequest.

    Raises:
        ImportError: If the package's messages were not built.
    """
    try:
        from kpconv_ros.msg import LatentTile, TileRequest
    except ImportError as error:
        raise ImportError("the messages of kpconv_ros are not built; run 'make build' (colcon build)") from error
    return LinkClasses(LatentTile, TileRequest)
