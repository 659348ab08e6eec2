# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a node that works on scans knows about itself, and its message on /diagnostics."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

ERROR_SHOWN = 3.0  # s for which an error stays on the diagnostics, so that a 1 Hz reader sees it
LATE_FOR_LONG = 5.0  # s over the limit that make a warning an error


@dataclass
class Counters:
    """Numbers of one activation; written by the executor and the worker, read by the diagnostics."""

    num_received: int = 0
    num_processed: int = 0
    num_refused: int = 0
    num_resets: int = 0
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the last scan had to tell, by name."""
    warnings: tuple[str, ...] = ()
    """What is to be said about the last scan."""
    last_error: str = ""
    last_error_at: float = -1e9
    late_since: float = 0.0
    """Monotonic time since which every scan took longer than the limit; 0 when the last one did not."""
    last_received_at: float = 0.0
    """Monotonic time of the last cloud."""
    timings_ms: dict[str, float] = field(default_factory=dict)


class Statistics:
    """The counters of a node behind a lock."""

    def __init__(self, facts: Mapping[str, object] | None = None) -> None:
        """Start at zero; ``facts`` are those told before the first scan."""
        self._lock = threading.Lock()
        self._facts: Mapping[str, object] = facts or {}
        self._counters = Counters(facts=self._facts)

    def snapshot(self) -> Counters:
        """A copy of the counters."""
        with self._lock:
            return replace(self._counters, timings_ms=dict(self._counters.timings_ms))

    def clear(self) -> None:
        """Start again at zero, keeping the last error."""
        with self._lock:
            old = self._counters
            self._counters = Counters(facts=self._facts, last_error=old.last_error, last_error_at=old.last_error_at)

    def count_received(self) -> None:
        """A cloud came."""
        with self._lock:
            self._counters.num_received += 1
            self._counters.last_received_at = time.monotonic()

    def note_error(self, text: str, refused_scan: bool = True) -> None:
        """Something went wrong; ``refused_scan`` if nothing was published for a cloud because of it."""
        with self._lock:
            self._counters.num_refused += refused_scan
            self._counters.last_error = text
            self._counters.last_error_at = time.monotonic()

    def count_processed(
        self,
        timings_ms: dict[str, float],
        limit_ms: float,
        facts: Mapping[str, object],
        warnings: tuple[str, ...] = (),
        was_reset: bool = False,
    ) -> None:
        """A scan was processed.

        Args:
            timings_ms: Milliseconds by stage; ``total`` is among them.
            limit_ms: Total above which the scan is late.
            facts: What the diagnostics tell of it.
            warnings: What they warn of.
            was_reset: Whether time jumped back before it.
        """
        now = time.monotonic()
        with self._lock:
            counters = self._counters
            counters.num_processed += 1
            counters.num_resets += was_reset
            counters.facts, counters.warnings = facts, warnings
            counters.timings_ms = timings_ms
            late = timings_ms["total"] > limit_ms
            counters.late_since = (counters.late_since or now) if late else 0.0


@dataclass(frozen=True)
class NodeState:
    """What the diagnostics tell beside the counters."""

    lifecycle: str
    enabled: bool
    work: str
    """What the node does when all is well, such as "segmenting"."""
    hardware_id: str
    input_topic: str
    input_reliability: str
    num_publishers: int
    num_unmatched: int
    num_dropped: int
    limit_ms: float
    facts: Mapping[str, object] = field(default_factory=dict)
    """What else the node knows of itself, by name."""
    warnings: tuple[str, ...] = ()
    """What it has to say whatever the last scan was."""


def diagnostic_message(node_name: str, stamp: Time, state: NodeState, counters: Counters) -> DiagnosticArray:
    """The message for /diagnostics."""
    level, text = assess(state, counters, time.monotonic())
    status = DiagnosticStatus(level=level, name=f"{node_name}: scans", message=text, hardware_id=state.hardware_id)
    status.values = [KeyValue(key=key, value=str(value)) for key, value in _values(state, counters).items()]
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message


def assess(state: NodeState, counters: Counters, now: float) -> tuple[bytes, str]:
    """Level and text: the worst of what is to be said first.

    Args:
        state: The node.
        counters: Its numbers.
        now: Monotonic time, seconds.
    """
    ok, warn, error = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
    findings: list[tuple[bytes, str]] = []
    if state.lifecycle != "active":
        failed = bool(counters.last_error) and state.lifecycle == "unconfigured"
        reason = counters.last_error or f"not {state.work}"
        return error if failed else warn, f"{state.lifecycle}: {reason}"
    if now - counters.last_error_at < ERROR_SHOWN:
        findings.append((error, counters.last_error))
    if not state.enabled:
        findings.append((warn, "disabled"))
    if state.num_unmatched:
        findings.append((warn, f"{state.num_unmatched} best-effort publishers cannot be heard reliably"))
    if counters.num_received == 0:
        findings.append(
            (warn, f"waiting for the first cloud on {state.input_topic} ({state.num_publishers} publishers)")
        )
    findings += [(warn, text) for text in (*counters.warnings, *state.warnings)]
    if counters.late_since:
        late = error if now - counters.late_since > LATE_FOR_LONG else warn
        findings.append((late, f"scans take {counters.timings_ms['total']:.0f} ms, limit {state.limit_ms:.0f} ms"))
    if not findings:
        return ok, state.work
    findings.sort(key=lambda finding: finding[0], reverse=True)
    return findings[0][0], "; ".join(text for _, text in findings)


def _values(state: NodeState, counters: Counters) -> dict[str, object]:
    values: dict[str, object] = {
        "state": state.lifecycle,
        "enabled": state.enabled,
        **state.facts,
        "input": f"{state.input_topic} ({state.input_reliability}, {state.num_publishers} publishers)",
        "received": counters.num_received,
        "processed": counters.num_processed,
        "dropped": state.num_dropped,
        "refused": counters.num_refused,
        "resets": counters.num_resets,
        **counters.facts,
        "last_error": counters.last_error,
    }
    values.update({f"{name}_ms": f"{value:.1f}" for name, value in counters.timings_ms.items()})
    return values
