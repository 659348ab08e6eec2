# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How near a decoded tile is to the original, and what a link's coders make of the bytes that they are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from scipy.spatial import cKDTree

from kpconv_ros.codec.draco_coder import DracoCoder
from kpconv_ros.codec.tile import TileContent
from kpconv_ros.evaluation.tile_distortion import d1_psnr, measure_distortion, measure_emkd
from kpconv_ros.pipelines.tile_codec import TileCodec

EMKD_CELL = 256
"""Points of a cell of the EM-kD."""
RATE_BYTES = (128, 256, 512, 1024, 2048, 4096)
"""Bytes of a tile's code for which the distortion is measured."""
NOT_SHOWN: dict[str, Any] = {
    "decoded_points": 0,
    "shown": 0.0,
    "agreement": None,
    "chamfer_m": None,
    "emkd_m": None,
    "d1_psnr_db": None,
}
"""Scores of a tile of which nothing was decoded."""
ItemT = TypeVar("ItemT")


def score_tile(content: TileContent, decoded: TileContent, near: float, with_emkd: bool) -> dict[str, Any]:
    """Compare a tile with its decoded self.

    Args:
        content: The tile.
        decoded: What the receiver has of it.
        near: A point is shown if a decoded one is so near, metres.
        with_emkd: Whether to measure the EM-kD too.

    Returns:
        ``decoded_points``, ``shown`` (share of the points), ``agreement`` (share of those whose nearest decoded point
        has their label), ``chamfer_m``, ``emkd_m``, ``d1_psnr_db``; None where there is no number.
    """
    distances, nearest = cKDTree(decoded.points).query(content.points)
    is_shown = distances < near
    agrees = decoded.labels[nearest] == content.labels
    found = measure_distortion(content.points, decoded.points)
    return {
        "decoded_points": len(decoded.points),
        "shown": float(is_shown.mean()),
        "agreement": float(agrees[is_shown].mean()) if is_shown.any() else None,
        "chamfer_m": found.chamfer_m,
        "emkd_m": measure_emkd(content.points, decoded.points, EMKD_CELL) if with_emkd else None,
        "d1_psnr_db": d1_psnr(found.d1_m),
    }


def measure_rates(codec: TileCodec, tiles: Sequence[TileContent]) -> list[dict[str, Any]]:
    """Distortion over bytes of a link's coders, and of Draco in the same bytes.

    Args:
        codec: The link's coders.
        tiles: What is coded.

    Returns:
        A row for each of `RATE_BYTES` and coder, with means over the tiles that it could say in so few bytes; none
        where there are none. Draco is given for each tile as many bytes as the link's code took.
    """
    rows = []
    for max_bytes in RATE_BYTES:
        link, draco = [], []
        for content in tiles:
            coded = codec.encode(content, max_bytes)
            if coded is None:
                continue
            link.append(_measure(content, codec.coder(coded.coder.id).decode(coded.payload), len(coded.payload)))
            payload = DracoCoder().encode(content, len(coded.payload))
            if payload is not None:
                draco.append(_measure(content, DracoCoder().decode(payload), len(payload)))
        rows += [_row(name, max_bytes, measured) for name, measured in (("link", link), ("draco", draco)) if measured]
    return rows


def _measure(content: TileContent, decoded: TileContent, num_bytes: int) -> dict[str, float]:
    found = measure_distortion(content.points, decoded.points)
    return {"bytes": num_bytes, "points": len(content.points), "chamfer_m": found.chamfer_m, "d1_m": found.d1_m}


def _row(name: str, max_bytes: int, measured: Sequence[dict[str, float]]) -> dict[str, Any]:
    sums = {key: sum(entry[key] for entry in measured) for key in measured[0]}
    mean_square = sum(entry["d1_m"] ** 2 for entry in measured) / len(measured)
    return {
        "coder": name,
        "max_bytes": max_bytes,
        "tiles": len(measured),
        "bytes_per_point": sums["bytes"] / sums["points"],
        "chamfer_m": sums["chamfer_m"] / len(measured),
        "d1_psnr_db": d1_psnr(mean_square**0.5),
    }


def summary_of(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean, median, and the 95 % quantile of numbers that exist."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return dict.fromkeys(("mean", "p50", "p95"))
    middle, high = np.percentile(numbers, [50, 95])
    return {"mean": float(np.mean(numbers)), "p50": float(middle), "p95": float(high)}


def evenly(items: Sequence[ItemT], most: int) -> list[ItemT]:
    """At most so many of some items, evenly taken."""
    return [items[i * len(items) // most] for i in range(most)] if len(items) > most else list(items)


def most_in_a_window(times: Sequence[float], sizes: Sequence[int], window: float) -> int:
    """The most bytes in any ``window`` seconds, of messages at rising times."""
    most = inside = first = 0
    for time, size in zip(times, sizes):
        inside += size
        while times[first] <= time - window:
            inside -= sizes[first]
            first += 1
        most = max(most, inside)
    return most
