# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A live run: a source of scans, the node that works on them and a recorder, as three processes over real DDS.

The source starts only when the node is active and the recorder listens, so loading and compiling are not part of what
is measured.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from kpconv_ros.evaluation.node_processes import POLL_PERIOD, NodeProcesses

RECORD_FILE = "record.npz"
READY_FILE = "record.ready"
STARTED_FILE = "record.started"
FINISH_FILE = "record.finish"


class Patience(NamedTuple):
    """How long a live run waits."""

    ready: float = 300.0
    """Until the nodes are active, and until the first scan, seconds."""
    finish: float = 60.0
    """For the recorder after the source has ended, seconds."""


@dataclass(frozen=True)
class LiveRunConfig:
    """What to run and for how long."""

    folder: Path
    """Where logs and the record are written."""
    source: str
    """Node that publishes the scans and their ground truth: ``simulate`` or ``replay``."""
    source_arguments: tuple[str, ...] = ()
    """What follows ``kpconv-ros run SOURCE``."""
    node: str = "segment"
    """Node that works on them."""
    node_arguments: tuple[str, ...] = ()
    """What follows ``kpconv-ros run NODE``."""
    recorder: str = "record"
    """Node that writes down what the other two publish."""
    warm_up: float = 0.0
    """So long after the first scan nothing is counted: the nodes still find each other [s]."""
    duration: float | None = None
    """Length of the run after its warm-up [s]; None: until the source ends by itself."""
    ready_timeout: float = Patience().ready
    """Patience until the node is active, and until the first scan [s]."""
    finish_timeout: float = Patience().finish
    """Patience with the recorder after the source has ended [s]."""


class LiveSession:
    """Nodes and a recorder that listen; sources play to them, one after another. A context manager.

    A terminate signal is taken as an interrupt meanwhile; whatever ends the session, all processes have ended then.
    """

    def __init__(
        self,
        folder: Path,
        nodes: Mapping[str, Sequence[str]],
        recorder: str,
        recorder_arguments: Sequence[str] = (),
        patience: Patience | None = None,
        tell: Callable[[str], None] = print,
    ) -> None:
        """Prepare a session.

        Args:
            folder: Where logs and the record are written.
            nodes: Nodes to start, with what follows ``kpconv-ros run NODE``.
            recorder: Node that writes down what they publish.
            recorder_arguments: What follows its name, beside the file that it writes.
            patience: How long to wait.
            tell: Called with a line when something worth waiting for has happened.
        """
        self.folder, self._tell = folder.resolve(), tell
        self._nodes, self._recorder, self._recorder_arguments = nodes, recorder, recorder_arguments
        self._patience = patience or Patience()
        self._begin = time.monotonic()
        self.record, self._ready, self._started, self._finish = (
            self.folder / name for name in (RECORD_FILE, READY_FILE, STARTED_FILE, FINISH_FILE)
        )
        self._signals, self._processes = _TerminateAsInterrupt(), NodeProcesses(folder)

    def __enter__(self) -> LiveSession:  # noqa: PYI034 (Self is of Python 3.11)
        """Start nodes and recorder.

        Raises:
            LiveRunError: If one dies or does not become ready.
        """
        self._signals.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.__exit__(None, None, None)
        self._signals.__exit__()

    @property
    def pids(self) -> dict[str, int]:
        """Process numbers of the nodes, the recorder and the source that plays, by name."""
        return {name: node.process.pid for name, node in list(self._processes.nodes.items())}  # asked by other threads

    def play(
        self,
        source: str,
        arguments: Sequence[str],
        duration: float | None = None,
        waits_for_scan: bool = True,
        tolerates_damage: bool = False,
    ) -> None:
        """Run a source of scans.

        Args:
            source: Node that publishes the scans: ``simulate`` or ``replay``.
            arguments: What follows ``kpconv-ros run SOURCE``.
            duration: Seconds after the recorder has begun to count; None: until the source ends by itself.
            waits_for_scan: Whether the recorder tells that it has begun to count.
            tolerates_damage: Whether the source may end with an error, as ``replay`` does at the damage of a bag.

        Raises:
            LiveRunError: If a node dies, or no scan comes.
        """
        self._say(f"{', '.join(self._nodes)} active; starting {source}")
        self._processes.start(source, arguments)
        if waits_for_scan:
            self._processes.wait_until(self._started.exists, "the first scan", self._patience.ready)
        length = "until it ends" if duration is None else f"for {duration:g} s"
        self._say(f"counting {length}; logs in {self.folder}")
        _wait_for_end_of_source(self._processes, source, duration, (source,) if tolerates_damage else ())
        self._processes.nodes.pop(source, None)
        self._say(f"{source} has ended")

    def finish(self) -> Path:
        """Have the recorder write its record, and return the file.

        Raises:
            LiveRunError: If it does not.
        """
        self._finish.touch()
        may_end = (self._recorder,)
        has_ended = self._processes.has_ended
        self._processes.wait_until(lambda: has_ended(self._recorder), "the record", self._patience.finish, may_end)
        self._processes.check(may_end)
        self._remove_signs()
        return self.record

    def _start(self) -> None:
        self.record.unlink(missing_ok=True)
        self._remove_signs()
        for name, arguments in self._nodes.items():
            self._processes.start(name, arguments)
        self._processes.start(self._recorder, (*ros_parameters(output=str(self.record)), *self._recorder_arguments))
        names = " and ".join(self._nodes)
        self._processes.wait_until(self._ready.exists, f"{names} to become active", self._patience.ready)

    def _remove_signs(self) -> None:
        for path in (self._ready, self._started, self._finish):
            path.unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        self._tell(f"{time.monotonic() - self._begin:5.1f} s: {text}")


def record_live_run(config: LiveRunConfig, tell: Callable[[str], None] = print) -> Path:
    """Run source, node and recorder; all of them have ended when this returns.

    Args:
        config: What to run.
        tell: Called with a line when something worth waiting for has happened.

    Returns:
        The record that the recorder wrote.

    Raises:
        LiveRunError: If a node dies or does not become ready.
    """
    patience = Patience(config.ready_timeout, config.finish_timeout)
    nodes = {config.node: config.node_arguments}
    warm_up = ros_parameters(warm_up=config.warm_up)
    with LiveSession(config.folder, nodes, config.recorder, warm_up, patience, tell) as session:
        session.play(config.source, config.source_arguments, config.duration)
        return session.finish()


Scalar = str | float | bool


def ros_parameters(**values: Scalar | Sequence[Scalar]) -> tuple[str, ...]:
    """Arguments of ``kpconv-ros run`` that set parameters."""
    return tuple(word for name, value in values.items() for word in ("-p", f"{name}:={_yaml_text(value)}"))


def _yaml_text(value: Scalar | Sequence[Scalar]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"  # quoted, so that "00" stays text
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_yaml_text, value))}]"
    return repr(value)


def _wait_for_end_of_source(nodes: NodeProcesses, source: str, duration: float | None, may_fail: Sequence[str]) -> None:
    """Wait until the source has played for its time, then end it; or until it ends by itself."""
    deadline = None if duration is None else time.monotonic() + duration
    while deadline is None or time.monotonic() < deadline:
        nodes.check((source,) if deadline is None else (), may_fail)
        if nodes.has_ended(source):
            nodes.check((source,), may_fail)
            return
        time.sleep(POLL_PERIOD)
    nodes.check()
    nodes.stop(source)


class _TerminateAsInterrupt:
    """While inside, SIGTERM raises KeyboardInterrupt, so that nodes are ended as by the user's own interrupt."""

    def __enter__(self) -> None:
        self.previous = signal.signal(signal.SIGTERM, self._interrupt)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self.previous)

    @staticmethod
    def _interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt
