# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pieces of clips, before they are altered: what training spheres are put together from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.clips import Clip

Floats = NDArray[np.float32]


class Piece(NamedTuple):
    """Points around a place, before they are altered."""

    points: Floats
    """Relative to the place, ``(N, 3)``, metres."""
    intensity: Floats
    """``(N,)`` 0..1."""
    ranges: Floats
    """Distance to the sensor of the scan that holds the point, ``(N,)``, metres."""
    labels: NDArray[np.int64]
    """``(N,)``, 0 is unlabelled."""
    colors: Floats | None = None
    """Red, green, blue, ``(N, 3)`` 0..1; None in a training whose clouds have none."""

    def at(self, place: Floats) -> "Piece":
        """Return the same points relative to ``place`` (3,)."""
        return self._replace(points=self.points - place)

    def keep(self, rows: NDArray[np.bool_]) -> "Piece":
        """Return the points that ``rows (N,)`` marks."""
        return Piece(*(None if column is None else column[rows] for column in self))  # type: ignore[arg-type]


def join(pieces: Sequence[Piece]) -> Piece:
    """Return the points of all ``pieces``, one after the other; all have colours, or none has."""
    columns = list(zip(*pieces, strict=True))
    return Piece(*(None if column[0] is None else np.concatenate(column) for column in columns))  # type: ignore[arg-type]


def colors_of(clip: Clip, scan: int, rows: NDArray[Any]) -> Floats | None:
    """Return the colours of some points of a scan, ``(N, 3)`` 0..1, or None if the clip has none."""
    return None if clip.colors is None else clip.colors[scan][rows].astype(np.float32) / 255


def find_objects(clips: list[Clip], labels: tuple[int, ...]) -> list[tuple[int, list[tuple[Piece, float]]]]:
    """Return, for each clip and label in it, the label, and the points of each scan with the height of its ground."""
    found = []
    for clip in clips:
        for label in labels:
            scans = []
            for scan, of_scan in enumerate(clip.labels):
                rows = of_scan == label
                if not rows.any():
                    continue
                points = clip.points[scan][rows]
                ranges = np.linalg.norm(points - clip.sensors[scan].astype(np.float32), axis=1)
                colors = colors_of(clip, scan, rows)
                piece = Piece(points, clip.intensities[scan][rows], ranges, of_scan[rows].astype(np.int64), colors)
                scans.append((piece, float(clip.ground_z[scan])))
            if scans:
                found.append((label, scans))
    return found
