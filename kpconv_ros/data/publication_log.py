# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When which cloud was published, as a text file: what a source of scans notes for whoever measures its consumers."""

from __future__ import annotations

import time
from pathlib import Path

from kpconv_ros.data.bags import BagError


class PublicationLog:
    """Notes clouds in a file, a line each: stamp and time of publication, nanoseconds."""

    def __init__(self, path: Path) -> None:
        """Begin a file anew; its folder is made.

        Raises:
            BagError: If it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", buffering=1, encoding="ascii")
        except OSError as error:
            raise BagError(f"{path}: expected a file to write, got {error}") from error

    def note(self, stamp_ns: int) -> None:
        """Note that the cloud with this stamp is published now."""
        self._file.write(f"{stamp_ns} {time.time_ns()}\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def read_publications(path: Path) -> dict[int, int]:
    """Read a log, even while it is written: time of publication by stamp, nanoseconds, in the order of publication.

    Raises:
        BagError: If it is missing or no such file.
    """
    try:
        whole_lines = path.read_text(encoding="ascii").split("\n")[:-1]
        rows = [line.split() for line in whole_lines]
        return {int(stamp): int(published) for stamp, published in rows}
    except (OSError, ValueError) as error:
        raise BagError(f"{path}: got no log of publications: {error}") from error
