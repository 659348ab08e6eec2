# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces joined by a link of few bits a second, in the kernel: a token bucket each way, loss, cuts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from types import TracebackType
from typing import NamedTuple

from kpconv_ros.evaluation import link_counter

DEVICE = "link0"
ADDRESSES = ("10.99.7.1/30", "10.99.7.2/30")
BURST_BYTES = 1600  # the bucket holds one datagram of the MTU
QUEUE_BYTES = 12000  # what waits beyond it is dropped, as a radio does
SAMPLE_PERIOD = 0.1  # s
# Classic BPF: load a random number; unless it is at least the share, match. Kernels without netem have it too.
LOSS_PROGRAM = "4,32 0 0 4294963256,53 1 0 {share},6 0 0 4294967295,6 0 0 0"


class LinkError(RuntimeError):
    """The link cannot be made on this machine; the text says what is missing."""


class Sample(NamedTuple):
    """Bytes that have left each end, as its interface counts them: Ethernet headers included."""

    at: float
    """Seconds of the wall clock."""
    sent: tuple[int, int]
    messages: tuple[int, int] = (0, 0)
    """Those of them that are of the nodes' messages, with all headers; the others are DDS' own."""


class ThinLink:
    """Two namespaces, of network and of shared memory, as of two machines, while it is entered."""

    def __init__(self, rate: int, loss: float = 0.0, prefix: str = "kplink") -> None:
        """Describe the link.

        Args:
            rate: Bits a second, each way.
            loss: Share of the packets that are dropped at each end.
            prefix: Of the names of the namespaces.
        """
        self.rate, self.loss = rate, loss
        self.names = (f"{prefix}a{os.getpid()}", f"{prefix}b{os.getpid()}")
        self.samples: list[Sample] = []
        self._holders: list[subprocess.Popen[str]] = []
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> ThinLink:  # noqa: PYI034 (Self is of Python 3.11)
        """Make the namespaces.

        Raises:
            LinkError: If this machine does not let us.
        """
        check_can_link()
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        self._sampler.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        self._sampler.join()
        self._remove()

    def within(self, end: int) -> list[str]:
        """The command that runs another one at an end (0 or 1) of the link."""
        return ["nsenter", "-t", str(self._holders[end].pid), "-n", "-m", "--"]

    def cut(self) -> None:
        """Nothing passes any more."""
        for name in self.names:
            _run("ip", "-n", name, "link", "set", DEVICE, "down")

    def restore(self) -> None:
        """What is sent passes again."""
        for name in self.names:
            self._set_up(name)

    def dropped(self) -> tuple[int, int]:
        """Packets that the bucket at each end has dropped because its queue was full."""
        outputs = [_run(*self.within(end), "tc", "-s", "qdisc", "show", "dev", DEVICE) for end in (0, 1)]
        first, second = (int(output.split("dropped ")[1].split(",")[0]) for output in outputs)
        return first, second

    def _make(self) -> None:
        for name in self.names:
            _run("ip", "netns", "add", name)
            self._holders.append(_hold(name))
        _run("ip", "-n", self.names[0], "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE,
             "netns", self.names[1])  # fmt: skip
        for end, name in enumerate(self.names):
            _write_in(self.within(end), "/proc/sys/net/ipv6/conf/all/disable_ipv6", "1")
            _run("ip", "-n", name, "link", "set", "lo", "up")
            _run("ip", "-n", name, "addr", "add", ADDRESSES[end], "dev", DEVICE)
            self._set_up(name)
            bucket = ("tbf", "rate", f"{self.rate}bit", "burst", str(BURST_BYTES), "limit", str(QUEUE_BYTES))
            _run(*self.within(end), "tc", "qdisc", "add", "dev", DEVICE, "root", *bucket)
            if self.loss:
                self._lose(end)

    def _set_up(self, name: str) -> None:
        _run("ip", "-n", name, "link", "set", DEVICE, "up")
        _run("ip", "-n", name, "route", "replace", "224.0.0.0/4", "dev", DEVICE)  # DDS' discovery

    def _lose(self, end: int) -> None:
        """Lead some of the packets that arrive to a device that goes nowhere."""
        name = self.names[end]
        _run("ip", "-n", name, "link", "add", "sink0", "type", "veth", "peer", "name", "sink1")
        _run("ip", "-n", name, "link", "set", "sink0", "up")
        _run(*self.within(end), "tc", "qdisc", "add", "dev", DEVICE, "ingress")
        match = ("protocol", "ip", "bpf", "bytecode", LOSS_PROGRAM.format(share=int(self.loss * 2**32)))
        to_sink = ("flowid", "1:1", "action", "mirred", "egress", "redirect", "dev", "sink0")
        _run(*self.within(end), "tc", "filter", "add", "dev", DEVICE, "parent", "ffff:", *match, *to_sink)

    def _remove(self) -> None:
        for holder in self._holders:
            holder.kill()
            holder.wait()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def _sample(self) -> None:
        """Read the counters until the end; the namespaces show theirs to processes inside."""
        readers = [
            subprocess.Popen(
                [*self.within(end), sys.executable, link_counter.__file__, DEVICE],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for end in (0, 1)
        ]  # fmt: skip
        try:
            while not self._stop.wait(SAMPLE_PERIOD):
                (at, *first), (_, *second) = (_ask(reader) for reader in readers)
                self.samples.append(Sample(at, (first[0], second[0]), (first[1], second[1])))
        finally:
            for reader in readers:
                reader.kill()
                reader.wait()


def check_can_link() -> None:
    """Raise `LinkError` unless this machine lets us make namespaces with token buckets."""
    for program, package in (("ip", "iproute2"), ("tc", "iproute2"), ("nsenter", "util-linux")):
        if shutil.which(program) is None:
            raise LinkError(f"the link needs the program {program} (package {package}), which is not there")
    if os.geteuid() != 0:
        raise LinkError("the link needs network namespaces: run as root")
    name = f"kptry{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "64kbit",
             "burst", "1600", "limit", "4000")  # fmt: skip
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def most_in_a_second(samples: list[Sample], end: int, window: float = 1.0, of: str = "sent") -> float:
    """The most bytes a second that an end has sent, over any stretch of ``window`` seconds; ``of`` is a field."""
    bytes_sent = [getattr(sample, of)[end] for sample in samples]
    most, first = 0.0, 0
    for last in range(1, len(samples)):
        while samples[last].at - samples[first + 1].at >= window:
            first += 1
        passed = samples[last].at - samples[first].at
        if passed >= window:
            most = max(most, (bytes_sent[last] - bytes_sent[first]) / passed)
    return most


def _ask(reader: subprocess.Popen[str]) -> tuple[float, int, int]:
    """Time and bytes that a counter tells."""
    assert reader.stdin is not None and reader.stdout is not None
    print(file=reader.stdin, flush=True)
    at, sent, messages = reader.stdout.readline().split()
    return float(at), int(sent), int(messages)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LinkError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _hold(name: str) -> subprocess.Popen[str]:
    """A process that keeps a namespace, and in it shared memory of its own: DDS would go that way round the link."""
    script = "mount -t tmpfs tmpfs /dev/shm && echo ready && exec sleep infinity"
    holder = subprocess.Popen(["ip", "netns", "exec", name, "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    if holder.stdout is None or holder.stdout.readline().strip() != "ready":
        holder.kill()
        raise LinkError(f"got no shared memory of its own for namespace {name}; mount -t tmpfs is not allowed here")
    return holder


def _write_in(within: list[str], path: str, text: str) -> None:
    _run(*within, "sh", "-c", f"echo {text} > {path}")
