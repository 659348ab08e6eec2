# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags, read and written without ROS: rosbag2 (sqlite3, mcap) and, for reading, ROS 1.

Messages pass through as ROS 2 CDR bytes, which a node can publish as they are; they are decoded only where asked for.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_typestore

from kpconv_ros.data.damage import DamageError
from kpconv_ros.data.damaged_bags import SalvagedReader
from kpconv_ros.data.damaged_sqlite import has_cut_database

POINTCLOUD2 = "sensor_msgs/msg/PointCloud2"
ODOMETRY = "nav_msgs/msg/Odometry"
STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
_BAG_VERSION: Literal[8] = 8  # of metadata.yaml: the newest that Iron and Jazzy read alike
_ROS1_SUFFIX = ".bag"


class BagError(ValueError):
    """A bag cannot be read or written, or lacks what is needed."""


class BagMessage(NamedTuple):
    """One message of a bag."""

    stamp_ns: int
    """When it was recorded, nanoseconds."""
    topic: str
    msgtype: str
    cdr: bytes
    """The message in ROS 2's serialisation, with its 4-byte head."""


class BagReader:
    """Reads a rosbag2 folder, a single ``.mcap`` or ``.db3`` file, or a ROS 1 ``.bag``; a context manager.

    Of a ROS 1 bag, topics of the types that ROS 2 has unchanged can be read: clouds, odometry and the like.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a bag; of a damaged one, the messages before the damage can be read.

        Raises:
            BagError: If it is not there, empty, of an unknown kind, or has no readable message.
        """
        self.path = Path(path)
        if not self.path.exists():
            raise BagError(f"{self.path}: no such bag")
        self.is_ros1 = self.path.suffix == _ROS1_SUFFIX
        try:
            if has_cut_database(self.path):
                raise BagError("the database is shorter than its head says")
            self._reader: Any = AnyReader([self.path], default_typestore=get_typestore(Stores.LATEST))
            self._reader.open()
            # ROS 1 definitions have another Header, so its messages are converted by ROS 2's definitions.
            self._typestore = get_typestore(Stores.LATEST) if self.is_ros1 else self._reader.typestore
        except Exception as error:  # a damaged file fails in any layer: YAML, SQLite, MCAP, decompression
            self._reader = self._salvage(error)
            self._typestore = get_typestore(Stores.LATEST)
        if self._reader.message_count == 0:
            self.close()
            raise BagError(f"{self.path}: got an empty bag, expected messages")
        self.start_ns, self.end_ns = self._reader.start_time, self._reader.end_time

    def __enter__(self) -> "BagReader":
        """Return the open reader."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bag."""
        self.close()

    def close(self) -> None:
        """Close the bag."""
        self._reader.close()

    @property
    def damage(self) -> str:
        """What is wrong with the bag beyond which it cannot be read; empty if that is not known."""
        return self._reader.damage if isinstance(self._reader, SalvagedReader) else ""

    def topics_of_type(self, msgtype: str) -> dict[str, int]:
        """Topics that carry ``msgtype`` and their numbers of messages."""
        return {name: info.msgcount for name, info in self._reader.topics.items() if info.msgtype == msgtype}

    def messages(
        self, topics: Sequence[str] = (), start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Iterate over messages in the order of their recording.

        Args:
            topics: Names of topics, all when empty.
            start_ns: Leave out what was recorded before, nanoseconds.
            stop_ns: Leave out what was recorded at this time or later.

        Raises:
            BagError: If a topic is not in the bag, or the bag is damaged; messages before the damage have been given.
        """
        connections = [c for c in self._reader.connections if not topics or c.topic in topics]
        absent = set(topics) - {connection.topic for connection in connections}
        if absent:
            known = sorted(self._reader.topics)
            raise BagError(f"{self.path}: got no topic {', '.join(sorted(absent))}, expected of {', '.join(known)}")
        try:
            for connection, stamp_ns, raw in self._reader.messages(connections, start_ns, stop_ns):
                yield BagMessage(stamp_ns, connection.topic, connection.msgtype, self._to_cdr(raw, connection.msgtype))
        except Exception as error:
            raise BagError(f"{self.path}: damaged: {_text_of(error)}") from error

    def decode(self, message: BagMessage) -> Any:
        """Decode a message of this bag.

        Raises:
            BagError: If its bytes do not fit its type.
        """
        try:
            return self._typestore.deserialize_cdr(message.cdr, message.msgtype)
        except Exception as error:
            raise BagError(f"{self.path}: a message of {message.topic} is damaged: {_text_of(error)}") from error

    def _salvage(self, error: Exception) -> SalvagedReader:
        """Read what lies before the damage, whose first sign was ``error``."""
        try:
            return SalvagedReader(self.path)
        except (DamageError, OSError) as damage:
            text = f"{self.path}: got no readable rosbag2 or ROS 1 bag: {_text_of(error)}; {damage}"
            raise BagError(text) from error

    def _to_cdr(self, raw: bytes, msgtype: str) -> bytes:
        return bytes(self._typestore.ros1_to_cdr(raw, msgtype)) if self.is_ros1 else bytes(raw)


class BagWriter:
    """Writes a rosbag2 folder; a context manager."""

    def __init__(self, path: str | Path, storage: str = "mcap") -> None:
        """Create a bag.

        Args:
            path: Folder to create.
            storage: ``mcap`` or ``sqlite3``.

        Raises:
            BagError: If the folder is there already or the storage is unknown.
        """
        if storage not in STORAGES:
            raise BagError(f"got storage {storage!r}, expected one of {', '.join(STORAGES)}")
        self._typestore = get_typestore(Stores.LATEST)
        self._connections: dict[str, Connection] = {}
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._writer = Writer(path, version=_BAG_VERSION, storage_plugin=STORAGES[storage])
            self._writer.open()
        except (WriterError, OSError) as error:
            raise BagError(f"{path}: {error}") from error

    def __enter__(self) -> "BagWriter":
        """Return the open writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the bag."""
        self._writer.close()

    def write(self, message: BagMessage) -> None:
        """Append a message; its topic is added at its first message."""
        if message.topic not in self._connections:
            self._connections[message.topic] = self._writer.add_connection(
                message.topic, message.msgtype, typestore=self._typestore
            )
        self._writer.write(self._connections[message.topic], message.stamp_ns, message.cdr)


def pick_topic(reader: BagReader, msgtype: str, wanted: str = "", without: str = "") -> str | None:
    """Find the one topic of a type.

    Args:
        reader: Open bag.
        msgtype: Type of its messages.
        wanted: The topic to take if it is given.
        without: Leave out topics whose name ends with this.

    Returns:
        The topic, or None if the bag has none of the type.

    Raises:
        BagError: If ``wanted`` is not there, or several topics are and none was named.
    """
    topics = reader.topics_of_type(msgtype)
    if wanted:
        if wanted not in topics:
            raise BagError(f"{reader.path}: got no {msgtype} topic {wanted!r}, expected one of {list(topics)}")
        return wanted
    choices = [name for name in topics if not (without and name.endswith(without))]
    if len(choices) > 1:
        raise BagError(f"{reader.path}: got {len(choices)} topics of {msgtype} ({', '.join(choices)}); name one")
    return choices[0] if choices else None


def _text_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
