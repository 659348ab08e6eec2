# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a soak, from its notes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kpconv_ros.data.publication_log import read_publications
from kpconv_ros.evaluation.live_run import RECORD_FILE
from kpconv_ros.evaluation.replay.node_arguments import PART_OF_NODE
from kpconv_ros.evaluation.replay.outputs_record import read_answers
from kpconv_ros.evaluation.soak.live import PUBLISHED_LOG
from kpconv_ros.evaluation.soak.samples import SoakNotes

WINDOW = 600.0
"""Memory is compared between the second and the last stretch of so many seconds; the nodes fill up in the first."""
SHORTEST = 6
"""A run of less than so many windows has shorter ones: so many make its length."""
SETTLE = 5.0
"""Scans published less than so many seconds before the end of the log may still be unanswered."""
HELD = ("handles", "threads")

Samples = Sequence[dict[str, Any]]


def summarise(notes: SoakNotes, folder: Path) -> dict[str, Any]:
    """Sum up a soak.

    Args:
        notes: What was sampled.
        folder: Of the run's logs.

    Returns:
        ``memory_growth`` is the growth of the mean resident memory of a process from the early to the late window, as
        a share of the early one; ``memory_growth_pss`` and ``memory_growth_uss`` likewise of proportional and own
        memory. Handles and threads are the most in each window.
    """
    early, late, window = windows_of(notes.samples)
    names = sorted({name for sample in (*early, *late) for name in sample["processes"]})
    growth = {kind: {name: growth_of(early, late, name, kind) for name in names} for kind in ("rss", "pss", "uss")}
    grown = [share for share in growth["rss"].values() if share is not None]
    length = notes.samples[-1]["seconds"]
    return {
        "hours": round(length / 3600.0, 3),
        "rate_hz": None if notes.rates.get("rate_hz") is None else round(notes.rates["rate_hz"], 3),
        "memory_growth": growth["rss"],
        "memory_growth_most": max(grown, default=None),
        "memory_growth_pss": growth["pss"],
        "memory_growth_uss": growth["uss"],
        "window_s": round(window, 1),
        "memory_mb": {name: [_mean(part, name, "rss_mb") for part in (early, late)] for name in names},
        **{kind: {name: [_most(part, name, kind) for part in (early, late)] for name in names} for kind in HELD},
        "cpu_share": {name: cpu_share(notes.samples, name) for name in names},
        "dropped_at_80_percent": notes.rates.get("dropped_at_80_percent"),
        "scans_at_80_percent": notes.rates.get("scans_at_80_percent"),
        **dropped_of(folder),
        "samples": len(notes.samples),
        **notes.begin,
        "ended": notes.end.get("why", "killed"),
    }


def windows_of(samples: Samples) -> tuple[Samples, Samples, float]:
    """Samples of the early and the late window, and their length in seconds."""
    length = float(samples[-1]["seconds"])
    window = min(WINDOW, length / SHORTEST)
    early = [sample for sample in samples if window <= sample["seconds"] < 2 * window]
    late = [sample for sample in samples if sample["seconds"] >= length - window]
    return early, late, window


def growth_of(early: Samples, late: Samples, name: str, kind: str) -> float | None:
    """By what share the mean memory of a process grew; None where it was not there in both windows."""
    before, after = _mean(early, name, f"{kind}_mb"), _mean(late, name, f"{kind}_mb")
    return None if before is None or after is None else float(round(after / before - 1.0, 4))


def cpu_share(samples: Samples, name: str) -> float | None:
    """Processor time of a process by the time that passed: 1 is one core."""
    seen = [sample for sample in samples if name in sample["processes"]]
    if len(seen) < 2:
        return None
    seconds = float(seen[-1]["seconds"] - seen[0]["seconds"])
    before, after = (float(sample["processes"][name]["cpu_s"]) for sample in (seen[0], seen[-1]))
    return float(round((after - before) / seconds, 3))


def dropped_of(folder: Path) -> dict[str, Any]:
    """Scans that were played, and what share of them each part dropped."""
    published = read_publications(folder / PUBLISHED_LOG)
    until = max(published.values(), default=0) - SETTLE * 1e9
    counted = {stamp for stamp, at in published.items() if at <= until}
    answers = read_answers(folder / RECORD_FILE, since_ns=min(published.values(), default=0))
    shares = {
        PART_OF_NODE[node]: round(len(counted - found.keys()) / max(len(counted), 1), 4)
        for node, found in answers.items()
    }
    return {"scans": len(counted), "dropped_share": shares}


def _values(samples: Samples, name: str, kind: str) -> list[float]:
    return [sample["processes"][name][kind] for sample in samples if name in sample["processes"]]


def _mean(samples: Samples, name: str, kind: str) -> float | None:
    values = _values(samples, name, kind)
    return round(sum(values) / len(values), 2) if values else None


def _most(samples: Samples, name: str, kind: str) -> float | None:
    return max(_values(samples, name, kind), default=None)
