# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can still be read of a bag whose end, index or metadata is missing: from its beginning to the damage.

MCAP: https://mcap.dev/spec; ROS 1: the bag format 2.0 of the ROS wiki.
"""

from __future__ import annotations

import bz2
import importlib
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from rosbags.typesys.msg import normalize_msgtype

from kpconv_ros.data.damage import DamageError, Found, SalvagedConnection
from kpconv_ros.data.damaged_sqlite import SQLITE_MAGIC, read_sqlite

MCAP_MAGIC = b"\x89MCAP0\r\n"
ROS1_MAGIC = b"#ROSBAG V2.0\n"
MCAP_SCHEMA, MCAP_CHANNEL, MCAP_MESSAGE, MCAP_CHUNK, MCAP_DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
ROS1_MESSAGE, ROS1_CHUNK, ROS1_CONNECTION = 2, 5, 7


class SalvagedTopic(NamedTuple):
    """What is known of a topic."""

    msgtype: str
    msgcount: int


class SalvagedReader:
    """The messages before the damage, offered as rosbags' readers offer those of a whole bag."""

    def __init__(self, path: Path) -> None:
        """Look through a bag once.

        Raises:
            DamageError: If no message can be read.
        """
        self.files = files_of_bag(path)
        self.damage = ""
        self.connections: list[SalvagedConnection] = []
        counts: dict[SalvagedConnection, int] = {}
        stamps: list[int] = []
        try:
            for connection, stamp_ns, _ in self._read():
                counts[connection] = counts.get(connection, 0) + 1
                stamps = [min([stamp_ns, *stamps]), max([stamp_ns, *stamps])]
        except DamageError as error:
            self.damage = str(error)
        if not counts:
            raise DamageError(self.damage or "no message")
        self.connections = list(counts)
        self.topics = {found.topic: SalvagedTopic(found.msgtype, number) for found, number in counts.items()}
        self.message_count = sum(counts.values())
        self.start_time, self.end_time = stamps[0], stamps[-1] + 1

    def messages(
        self, connections: Sequence[SalvagedConnection], start: int | None = None, stop: int | None = None
    ) -> Iterator[Found]:
        """Iterate over messages in the order in which they lie in the bag.

        Raises:
            DamageError: Where they end.
        """
        for found in self._read():
            if found[0] in connections and (start is None or found[1] >= start) and (stop is None or found[1] < stop):
                yield found
        if self.damage:
            raise DamageError(self.damage)

    def close(self) -> None:
        """Nothing stays open between two iterations."""

    def _read(self) -> Iterator[Found]:
        for path in self.files:
            with path.open("rb") as file:
                magic = file.read(len(SQLITE_MAGIC))
            if magic == SQLITE_MAGIC:
                yield from read_sqlite(path)
                continue
            read, head = (read_ros1, ROS1_MAGIC) if magic.startswith(ROS1_MAGIC) else (read_mcap, MCAP_MAGIC)
            with path.open("rb") as file:
                if file.read(len(head)) != head:
                    raise DamageError(f"{path.name}: got the beginning {magic[:8]!r}, expected that of a bag")
                yield from read(file)


def files_of_bag(path: Path) -> list[Path]:
    """The files of a bag in the order of their names.

    Raises:
        DamageError: If there are none.
    """
    files = [path] if path.is_file() else sorted([*path.glob("*.mcap"), *path.glob("*.db3")])
    if not files:
        raise DamageError(f"{path}: got no .mcap, .db3 or .bag file")
    return files


def read_mcap(file: BinaryIO) -> Iterator[Found]:
    """Iterate over the messages of an MCAP file whose magic was read.

    Raises:
        DamageError: If it ends before its data do, or a record contradicts itself.
    """
    types: dict[int, str] = {}
    channels: dict[int, SalvagedConnection] = {}
    try:
        yield from _mcap_records(file, types, channels)
    except (struct.error, IndexError, UnicodeDecodeError, KeyError) as error:
        raise DamageError(f"a damaged record: {type(error).__name__}: {error}") from error


def _mcap_records(
    file: BinaryIO, types: dict[int, str], channels: dict[int, SalvagedConnection], in_chunk: bool = False
) -> Iterator[Found]:
    while True:
        head = file.read(9)
        if in_chunk and not head:
            return
        if len(head) < 9:
            raise DamageError("the file ends before its data do")
        kind, length = struct.unpack("<BQ", head)
        if kind == MCAP_DATA_END:
            return
        data = _read_exactly(file, length, chunk_may_be_cut=kind == MCAP_CHUNK)
        if kind == MCAP_SCHEMA:
            types[struct.unpack_from("<H", data)[0]] = _text_at(data, 2)[0]
        elif kind == MCAP_CHANNEL:
            channel, schema = struct.unpack_from("<HH", data)
            channels[channel] = SalvagedConnection(_text_at(data, 4)[0], types[schema])
        elif kind == MCAP_MESSAGE:
            channel, _, stamp_ns = struct.unpack_from("<HIQ", data)
            yield channels[channel], stamp_ns, data[22:]
        elif kind == MCAP_CHUNK:
            yield from _mcap_records(_mcap_chunk(data), types, channels, in_chunk=True)
            if len(data) < length:
                raise DamageError("the file ends inside a chunk")


def _mcap_chunk(data: bytes) -> BinaryIO:
    compression, place = _text_at(data, 28)
    records = data[place + 8 :]
    if compression:
        records = _decompress(records, compression)
    return BytesIO(records)


def read_ros1(file: BinaryIO) -> Iterator[Found]:
    """Iterate over the messages of a ROS 1 bag whose magic was read.

    Raises:
        DamageError: If a record is cut off or contradicts itself.
    """
    try:
        yield from _ros1_records(file, {})
    except (struct.error, IndexError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise error if isinstance(error, DamageError) else DamageError(f"a damaged record: {error}") from error


def _ros1_records(file: BinaryIO, connections: dict[int, SalvagedConnection]) -> Iterator[Found]:
    while (length_bytes := file.read(4)) != b"":
        fields = _ros1_fields(_read_exactly(file, struct.unpack("<I", length_bytes)[0]))
        kind, length = fields["op"][0], struct.unpack("<I", _read_exactly(file, 4))[0]
        data = _read_exactly(file, length, chunk_may_be_cut=kind == ROS1_CHUNK)
        if kind == ROS1_CHUNK:
            compression = fields["compression"].decode()
            records = data if compression == "none" else _decompress(data, compression)
            yield from _ros1_records(BytesIO(records), connections)
            if len(data) < length:
                raise DamageError("the file ends inside a chunk")
        elif kind == ROS1_CONNECTION:
            number = struct.unpack("<I", fields["conn"])[0]
            msgtype = normalize_msgtype(_ros1_fields(data)["type"].decode())
            connections[number] = SalvagedConnection(fields["topic"].decode(), msgtype)
        elif kind == ROS1_MESSAGE:
            seconds, nanoseconds = struct.unpack("<II", fields["time"])
            yield connections[struct.unpack("<I", fields["conn"])[0]], seconds * 10**9 + nanoseconds, data


def _ros1_fields(head: bytes) -> dict[str, bytes]:
    fields, place = {}, 0
    while place < len(head):
        (length,) = struct.unpack_from("<I", head, place)
        name, _, value = head[place + 4 : place + 4 + length].partition(b"=")
        fields[name.decode()] = value
        place += 4 + length
    return fields


def _read_exactly(file: BinaryIO, length: int, chunk_may_be_cut: bool = False) -> bytes:
    place = file.tell()
    rest = file.seek(0, 2) - place  # read() makes room for all that it is asked for, which damage may set to anything
    file.seek(place)
    data = file.read(min(length, rest))
    if len(data) < length and not (chunk_may_be_cut and data):
        raise DamageError(f"the file ends inside a record: got {len(data)} bytes, expected {length}")
    return data


def _text_at(data: bytes, place: int) -> tuple[str, int]:
    """A text with its length before it, and the place behind it."""
    (length,) = struct.unpack_from("<I", data, place)
    return data[place + 4 : place + 4 + length].decode(), place + 4 + length


def _decompress(data: bytes, compression: str) -> bytes:
    decompressors: dict[str, Callable[[bytes], Any]] = {"bz2": bz2.decompress, "lz4": _lz4, "zstd": _zstd}
    if compression not in decompressors:
        raise DamageError(f"got the compression {compression!r}, expected one of {', '.join(decompressors)}")
    try:
        return bytes(decompressors[compression](data))
    except Exception as error:  # each library has errors of its own
        raise DamageError(f"a damaged chunk: {error}") from error


def _lz4(data: bytes) -> Any:
    from lz4.frame import decompress

    return decompress(data)


def _zstd(data: bytes) -> Any:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return importlib.import_module(name).decompress(data)
