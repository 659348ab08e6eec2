# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A live run: a source of scans, the node that works on them and a recorder, as three processes over real DDS.

The source starts only when the node is active and the recorder listens, so loading and compiling are not part of what
is measured.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from kpconv_ros.evaluation.node_processes import POLL_PERIOD, NodeProcesses

RECORD_FILE = "record.npz"
READY_FILE = "record.ready"
STARTED_FILE = "record.started"
FINISH_FILE = "record.finish"


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
    ready_timeout: float = 300.0
    """Patience until the node is active, and until the first scan [s]."""
    finish_timeout: float = 60.0
    """Patience with the recorder after the source has ended [s]."""


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
    folder, begin = config.folder.resolve(), time.monotonic()
    files = [folder / name for name in (RECORD_FILE, READY_FILE, STARTED_FILE, FINISH_FILE)]
    record, ready, started, finish = files
    with _TerminateAsInterrupt(), NodeProcesses(folder) as nodes:
        for path in files:
            path.unlink(missing_ok=True)
        nodes.start(config.node, config.node_arguments)
        nodes.start(config.recorder, ros_parameters(output=str(record), warm_up=config.warm_up))
        nodes.wait_until(ready.exists, f"the {config.node} node to become active", config.ready_timeout)
        tell(f"{time.monotonic() - begin:5.1f} s: {config.node} is active; starting {config.source}")
        nodes.start(config.source, config.source_arguments)
        nodes.wait_until(started.exists, "the first scan", config.ready_timeout)
        length = "until it ends" if config.duration is None else f"for {config.duration:g} s"
        tell(f"{time.monotonic() - begin:5.1f} s: counting {length}; logs in {folder}")
        _wait_for_end_of_source(nodes, config)
        finish.touch()
        tell(f"{time.monotonic() - begin:5.1f} s: {config.source} has ended")
        may_end = (config.source, config.recorder)
        nodes.wait_until(lambda: nodes.has_ended(config.recorder), "the record", config.finish_timeout, may_end)
        nodes.check(may_end)
    for path in (ready, started, finish):
        path.unlink(missing_ok=True)
    return record


def ros_parameters(**values: str | float | bool) -> tuple[str, ...]:
    """Arguments of ``kpconv-ros run`` that set parameters."""
    return tuple(word for name, value in values.items() for word in ("-p", f"{name}:={_yaml_scalar(value)}"))


def _yaml_scalar(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"  # quoted, so that "00" stays text
    return repr(value)


def _wait_for_end_of_source(nodes: NodeProcesses, config: LiveRunConfig) -> None:
    """Wait until the source has played for its time, then end it; or until it ends by itself."""
    deadline = None if config.duration is None else time.monotonic() + config.duration
    while deadline is None or time.monotonic() < deadline:
        nodes.check(may_end=(config.source,) if deadline is None else ())
        if nodes.has_ended(config.source):
            return
        time.sleep(POLL_PERIOD)
    nodes.check()
    nodes.stop(config.source)
    del nodes.nodes[config.source]


class _TerminateAsInterrupt:
    """While inside, SIGTERM raises KeyboardInterrupt, so that nodes are ended as by the user's own interrupt."""

    def __enter__(self) -> None:
        self.previous = signal.signal(signal.SIGTERM, self._interrupt)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self.previous)

    @staticmethod
    def _interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt
