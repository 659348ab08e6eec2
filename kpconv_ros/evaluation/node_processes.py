# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes of their own, watched while they run and always ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

POLL_PERIOD = 0.1  # [s]
STOP_PATIENCE = 10.0  # [s] from the interrupt to the kill
LOG_LINES_SHOWN = 15


class LiveRunError(RuntimeError):
    """A live run that cannot go on: a node died, did not become ready or did not end."""


class NodeProcess(NamedTuple):
    """A started node and the file that its output goes to."""

    process: subprocess.Popen[bytes]
    log: Path


class NodeProcesses:
    """Starts nodes by ``kpconv-ros run``; as a context manager it ends what still runs when it is left.

    Every node gets a session of its own, so an interrupt typed by the user reaches only this process, which then ends
    the nodes in the reverse order of their start.
    """

    def __init__(self, folder: Path) -> None:
        """Prepare a folder for the logs, ``NAME.log``; the nodes also run in it."""
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.nodes: dict[str, NodeProcess] = {}

    def __enter__(self) -> NodeProcesses:  # noqa: PYI034 (Self is of Python 3.11)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for name in reversed(list(self.nodes)):
            self.stop(name)

    def start(
        self,
        name: str,
        arguments: Sequence[str] = (),
        node: str = "",
        within: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start a node.

        Args:
            name: What the process is called here and in the name of its log.
            arguments: What follows ``kpconv-ros run NODE``.
            node: The node, where it is not ``name``.
            within: Command that runs it, such as ``ip netns exec NAME``.
            environment: Variables beside those of this process.
        """
        log = self.folder / f"{name}.log"
        command = [*within, sys.executable, "-m", "kpconv_ros.cli", "run", node or name, *arguments]
        with log.open("ab" if name in self.nodes else "wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**environment_of_nodes(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes[name] = NodeProcess(process, log)

    def stop(self, name: str) -> int:
        """Interrupt a node, kill it if it does not end, and return its exit status."""
        process = self.nodes[name].process
        for sent, patience in ((signal.SIGINT, STOP_PATIENCE), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            if process.poll() is not None:
                break
            process.send_signal(sent)
            _wait_quietly(process, patience)
        return int(process.wait())

    def check(self, may_end: Sequence[str] = (), may_fail: Sequence[str] = ()) -> None:
        """Raise if a node has ended; those in ``may_end`` may have done so with status 0, in ``may_fail`` with any.

        Raises:
            LiveRunError: With the end of the node's log.
        """
        for name, (process, log) in self.nodes.items():
            status = process.poll()
            if status is None or (status == 0 and name in may_end) or name in may_fail:
                continue
            raise LiveRunError(f"node {name!r} ended with status {status}; the end of {log}:\n{end_of_log(log)}")

    def wait_until(
        self, condition: Callable[[], bool], waiting_for: str, timeout: float, may_end: Sequence[str] = ()
    ) -> None:
        """Wait for a condition while all nodes live.

        Raises:
            LiveRunError: If a node dies or ``timeout`` seconds pass first.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            self.check(may_end)
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{end_of_log(node.log)}" for name, node in self.nodes.items())
                raise LiveRunError(f"waited {timeout:.0f} s for {waiting_for}, in vain; the logs end with:\n{logs}")
            time.sleep(POLL_PERIOD)

    def has_ended(self, name: str) -> bool:
        """Whether a node has ended, for better or worse."""
        return self.nodes[name].process.poll() is not None


def environment_of_nodes() -> dict[str, str]:
    """The environment of this process, with this package importable and discovery kept on this machine if unset."""
    environment = dict(os.environ)
    package_root = str(Path(__file__).absolute().parents[2])
    paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment["PYTHONPATH"] = os.pathsep.join([*paths, package_root] if package_root not in paths else paths)
    environment["PYTHONUNBUFFERED"] = "1"
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return environment


def end_of_log(log: Path, num_lines: int = LOG_LINES_SHOWN) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-num_lines:])


def _wait_quietly(process: subprocess.Popen[bytes], patience: float) -> None:
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        return
