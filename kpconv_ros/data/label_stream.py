# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels and confidences of many scans in one file, three bytes a point, written as they come and read by stamp."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.bags import BagError

Array = NDArray[Any]
HEAD = struct.Struct("<qqI")
BYTES_OF_POINT = 3
LABELS_SUFFIX = ".labels"
"""Of such a file, beside the record of a run."""


class StreamedLabels(NamedTuple):
    """The labels of one scan."""

    labels: Array
    """``(N,)`` uint8."""
    confidence: Array
    """``(N,)`` float32, rounded to float16."""


class LabelStreamWriter:
    """Appends scans to a file."""

    def __init__(self, path: Path) -> None:
        """Begin a file anew."""
        self._file = path.open("wb")

    def add(self, stamp_ns: int, published_ns: int, labels: Array, confidence: Array) -> None:
        """Append a scan: its stamp, when its labels were published, and both values of its points, ``(N,)`` each."""
        self._file.write(HEAD.pack(stamp_ns, published_ns, len(labels)))
        self._file.write(np.ascontiguousarray(labels, np.uint8).tobytes())
        self._file.write(np.ascontiguousarray(confidence, "<f2").tobytes())

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class LabelStreamReader:
    """Reads scans of such a file by their stamp; the last of several with one stamp counts."""

    def __init__(self, path: Path) -> None:
        """Find the scans in a file; one that was cut off at its end is left out.

        Raises:
            BagError: If the file is missing.
        """
        self.path = path
        self._places: dict[int, tuple[int, int]] = {}
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                while len(head := file.read(HEAD.size)) == HEAD.size:
                    stamp_ns, _, num_points = HEAD.unpack(head)
                    place, end = file.tell(), file.tell() + BYTES_OF_POINT * num_points
                    if end > size:
                        break
                    self._places[stamp_ns] = (place, num_points)
                    file.seek(end)
        except OSError as error:
            raise BagError(f"{path}: got no recorded labels: {error}") from error

    def __len__(self) -> int:
        """Return the number of scans."""
        return len(self._places)

    def labels_at(self, stamp_ns: int) -> StreamedLabels | None:
        """The labels of the scan with a stamp; None if there is none."""
        if stamp_ns not in self._places:
            return None
        place, num_points = self._places[stamp_ns]
        with self.path.open("rb") as file:
            file.seek(place)
            data = file.read(BYTES_OF_POINT * num_points)
        confidence = np.frombuffer(data, "<f2", num_points, offset=num_points).astype(np.float32)
        return StreamedLabels(np.frombuffer(data, np.uint8, num_points), confidence)
