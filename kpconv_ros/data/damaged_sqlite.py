# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A sqlite3 storage of a bag that lacks its end. The file format: https://sqlite.org/fileformat.html."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kpconv_ros.data.damage import DamageError, Found, SalvagedConnection

SQLITE_MAGIC = b"SQLite format 3\0"


def read_sqlite(path: Path) -> Iterator[Found]:
    """Iterate over the messages of a sqlite3 storage until a page is missing.

    Raises:
        DamageError: There.
    """
    query = "SELECT topic_id, timestamp, data FROM messages ORDER BY id"
    try:
        with _whole_pages(path) as whole:
            connection = sqlite3.connect(f"file:{whole}?mode=ro&immutable=1", uri=True)
            try:
                connection.execute("PRAGMA writable_schema=ON")  # else what is shorter than its head says is not read
                topics = connection.execute("SELECT id, name, type FROM topics").fetchall()
                connections = {number: SalvagedConnection(str(name), str(msgtype)) for number, name, msgtype in topics}
                for number, stamp_ns, data in connection.execute(query):
                    yield connections[number], int(stamp_ns), bytes(data)
            finally:
                connection.close()
    except (sqlite3.Error, TypeError, ValueError, KeyError, OSError) as error:
        raise DamageError(f"{path.name}: {type(error).__name__}: {error}") from error


def has_cut_database(path: Path) -> bool:
    """Whether a bag has a sqlite3 storage that is shorter than its head says; sqlite3 itself does not always tell."""
    files = [path] if path.is_file() else list(path.glob("*.db3"))
    return any(0 < file.stat().st_size < _size_in_head(file) for file in files)


def _size_in_head(path: Path) -> int:
    """Bytes that a sqlite3 file has by its own head; 0 if that is not known."""
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100 or not head.startswith(SQLITE_MAGIC) or head[24:28] != head[92:96]:
        return 0
    return _page_size(head) * int(struct.unpack_from(">I", head, 28)[0])


def _page_size(head: bytes) -> int:
    (size,) = struct.unpack_from(">H", head, 16)
    return 65536 if size == 1 else max(int(size), 512)


@contextmanager
def _whole_pages(path: Path) -> Iterator[Path]:
    """A sqlite3 file without the part of a page at its end, which sqlite3 would silently fill up with zeros."""
    size = path.stat().st_size
    with path.open("rb") as file:
        page = _page_size(file.read(100).ljust(100, b"\0"))
    if size % page == 0:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(shutil.copy(path, folder))
        with whole.open("r+b") as file:
            file.truncate(size - size % page)
        yield whole
