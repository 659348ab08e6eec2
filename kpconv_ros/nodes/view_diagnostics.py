# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the live view shows of /diagnostics: a table of our nodes, and what the encoder sends as curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

LEVELS = {DiagnosticStatus.OK: "ok", DiagnosticStatus.WARN: "WARN", DiagnosticStatus.ERROR: "ERROR"}
COUNTED = ("received", "dropped", "refused")
SENT, CAP, TOTAL = "sent_kb", "cap_kbit_s", "total_ms"


class NodeStatus(NamedTuple):
    """What a node says of itself."""

    level: str
    message: str
    values: Mapping[str, str]
    heard_at: float
    """Seconds."""


def nodes_in(message: DiagnosticArray, now: float) -> dict[str, NodeStatus]:
    """What nodes of this package say in a message on /diagnostics, by name; those of others are left out."""
    found = {}
    for status in message.status:
        values = {pair.key: pair.value for pair in status.values}
        if values.keys() >= set(COUNTED):
            level = LEVELS.get(status.level, "STALE")
            found[status.name.partition(":")[0]] = NodeStatus(level, status.message, values, now)
    return found


def table_of(nodes: Mapping[str, NodeStatus]) -> str:
    """The nodes as a table in Markdown, one a line."""
    lines = [f"| node | | {' | '.join(COUNTED)} |", "|" + "---|" * (2 + len(COUNTED))]
    notes = []
    for name, status in sorted(nodes.items()):
        lines.append(f"| {name} | {status.level} | {' | '.join(status.values[key] for key in COUNTED)} |")
        notes.append(f"**{name}**: {status.message}")
    return "\n".join(lines) + "\n\n" + "\n\n".join(notes)


class Bandwidth:
    """Curves from what nodes count: what was sent between two messages, beside the cap."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._sent: dict[str, tuple[float, float]] = {}

    def curves(self, node: str, status: NodeStatus) -> dict[str, float]:
        """The next value of each curve, by entity, from what a node says; none if it says what is known."""
        curves: dict[str, float] = {}
        now = status.heard_at
        if TOTAL in status.values and node not in ("segment", "register"):  # these publish theirs scan by scan
            curves[f"latency/{node}/total"] = float(status.values[TOTAL])
        if CAP in status.values:
            curves[f"bandwidth/{node}/cap"] = float(status.values[CAP])
        if SENT in status.values:
            kilobytes = float(status.values[SENT])
            before, kilobytes_before = self._sent.get(node, (now, kilobytes))
            self._sent[node] = (now, kilobytes)
            if now > before and kilobytes >= kilobytes_before:  # less: a new session
                curves[f"bandwidth/{node}/sent"] = 8.0 * (kilobytes - kilobytes_before) / (now - before)
        return curves
