# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node ``record_outputs`` wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.evaluation.run_report import RecordError

Array = NDArray[Any]


@dataclass(frozen=True)
class LinkRecord:
    """What went over a thin link, and the map at both its ends."""

    messages: list[tuple[int, bytes]]
    """Time of publication, nanoseconds, and packets of each message."""
    given: tuple[Array, Array] | None
    """Points ``(N, 3)``, metres, and labels ``(N,)`` of the maps that the sender was given; None if that was scans."""
    decoded: tuple[Array, Array]
    """The receiver's map at the end, likewise."""


@dataclass(frozen=True)
class OutputsRecord:
    """Outputs of the nodes by stamp; times in ns."""

    published: dict[str, dict[int, int]]
    """When each node published its answer to a scan, by node and stamp."""
    poses: dict[int, tuple[Array, Array]]
    """Pose ``(4, 4)`` and covariance ``(6, 6)`` by stamp."""
    timings: dict[str, dict[str, list[float]]]
    """Milliseconds by node and stage."""
    diagnostics: dict[str, dict[str, str]]
    """Last diagnostics of each node."""
    map_points: Array | None
    """The voted map at the end, ``(V, 3)``, metres; None if none came."""
    map_labels: Array | None
    """Its labels, ``(V,)`` uint8."""
    link: LinkRecord | None
    """None if encode was not listened to."""


def load_outputs(path: Path) -> OutputsRecord:
    """Read a record.

    Raises:
        RecordError: If it is missing or not such a file.
    """
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        stamps = arrays["pose_stamps"].tolist()
        timings: dict[str, dict[str, list[float]]] = {}
        for name in [name for name in arrays if name.startswith("timing.")]:
            _, node, stage = name.split(".")
            if len(arrays[name]):
                timings.setdefault(node, {})[stage] = arrays[name].tolist()
        return OutputsRecord(
            published=read_answers(path),
            poses=dict(zip(stamps, zip(arrays["poses"], arrays["covariances"], strict=True), strict=True)),
            timings=timings,
            diagnostics=json.loads(str(arrays["diagnostics"])),
            map_points=arrays.get("map_points"),
            map_labels=arrays.get("map_labels"),
            link=_read_link(arrays) if "link_times" in arrays else None,
        )
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise RecordError(f"got {path}, expected a record of outputs: {error}") from error


def _read_link(arrays: dict[str, Array]) -> LinkRecord:
    lengths, data = arrays["link_lengths"], arrays["link_data"].tobytes()
    ends = np.cumsum(lengths)
    pieces = [data[end - length : end] for end, length in zip(ends, lengths)]
    given = (arrays["given_points"], arrays["given_labels"]) if "given_points" in arrays else None
    return LinkRecord(
        messages=[(int(at), piece) for at, piece in zip(arrays["link_times"], pieces, strict=True)],
        given=given,
        decoded=(arrays["decoded_points"], arrays["decoded_labels"]),
    )


def read_answers(path: Path, since_ns: int = 0, until_ns: int | None = None) -> dict[str, dict[int, int]]:
    """Read what the recorder has noted so far: times of publication by node and stamp, nanoseconds.

    Args:
        path: The record, which need not be there yet.
        since_ns: Leave out what was published before.
        until_ns: And what was published later.

    Raises:
        RecordError: If there are no such notes.
    """
    notes = path.with_suffix(".answers")
    published: dict[str, dict[int, int]] = {}
    try:
        for line in notes.read_text(encoding="ascii").splitlines():
            node, stamp, moment = line.split()
            if since_ns <= int(moment) and (until_ns is None or int(moment) <= until_ns):
                published.setdefault(node, {})[int(stamp)] = int(moment)
    except (OSError, ValueError) as error:
        raise RecordError(f"got {notes}, expected notes of answers: {error}") from error
    return published
