# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is told of runs over the link: figures of a run, a line, a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from kpconv_ros.evaluation.link_run import LinkRun
from kpconv_ros.evaluation.link_truth import COMPLETE, FINE, NEAR, PassedTile, TileResult, judge_tiles
from kpconv_ros.evaluation.thin_link import BURST_BYTES, Sample, most_in_a_second

ALLOWED = 5.0  # s after passing
FLOWS = 5000  # bytes; more than discovery alone
MARKS = ("<!-- results: begin -->", "<!-- results: end -->")


def report_of(run: LinkRun, tiles: list[PassedTile], num_scans: int, rate: int) -> dict[str, Any]:
    """The numbers of a run."""
    began = float(run.poses[0, 0])
    span = (run.started + run.incident.span[0], run.started + run.incident.span[1])
    if run.incident.encoder_dies is not None:
        span = (span[0], flows_again(run.samples, span[0]))
    elif run.incident.decoder_starts and len(run.versions["times"]):
        span = (span[0], float(run.versions["times"][0]))  # when it showed its first tile
    results = judge_tiles(tiles, run.poses, run.versions, span, began, ALLOWED)
    held_up = [result for result in results if result.is_held_up]
    free = [result for result in results if not result.is_held_up]
    windows = {f"most_bytes_in_{window:g}_s": [round(most_in_a_second(run.samples, end, window)) for end in (0, 1)]
               for window in (1.0, 5.0)}  # fmt: skip
    messages = [round(most_in_a_second(run.samples, end, of="messages")) for end in (0, 1)]
    sent = [run.samples[-1].sent[end] for end in (0, 1)]
    return {
        "incident": run.incident.name,
        "scans": [len(run.poses), num_scans],
        "seconds": round(float(run.poses[-1, 0] - run.poses[0, 0]), 1),
        "metres": round(float(np.linalg.norm(run.poses[-1, 1:] - run.poses[0, 1:])), 1),
        "incident_s": [round(at - run.started, 1) for at in span],
        **judged(free),
        "held_up": judged(held_up),
        "cpu_s": {name: round(seconds, 1) for name, seconds in run.cpu.items()},
        "encoder": run.encoder,
        "sent_bytes": sent,
        "cores": len(os.sched_getaffinity(0)),
        "cap_bytes_a_second": rate // 8,
        "most_bytes_of_messages_in_1_s": messages,
        **windows,
        "dropped_by_the_bucket": list(run.dropped),
        "within_cap": max(messages) <= rate / 8
        and all(
            max(windows[f"most_bytes_in_{window}_s"]) * window <= rate / 8 * window + BURST_BYTES for window in (1, 5)
        ),
    }


def flows_again(samples: list[Sample], after: float) -> float:
    """When the robot's end had sent tiles again after it fell silent, seconds of the wall clock."""
    silent = [sample for sample in samples if sample.at > after + 1.0]  # what was in the queue has left
    for sample in silent:
        if sample.sent[0] - silent[0].sent[0] > FLOWS:
            return sample.at
    return silent[-1].at


def judged(results: list[TileResult]) -> dict[str, Any]:
    """What became of tiles: the allowed time after they were due, and at the end of the run."""
    if not results:
        return {"tiles": 0}
    points, shown, agreement, chamfer, at_end, shown_at_end, agreement_at_end = (
        np.array([getattr(result, name) for result in results])
        for name in (
            "num_points",
            "shown",
            "agreement",
            "chamfer",
            "chamfer_at_end",
            "shown_at_end",
            "agreement_at_end",
        )
    )
    delays = [result.delay for result in results]
    return {
        "tiles": len(results),
        "complete_in_time": round(float((chamfer <= COMPLETE).mean()), 3),
        "fine_in_time": round(float((shown >= FINE).mean()), 3),
        "absent": int(np.isinf(chamfer).sum()),
        "points_shown": round(float((shown * points).sum() / points.sum()), 4),
        "chamfer_m": distortions_of(chamfer),
        "delay_s": quantiles_of(delays),
        "label_agreement": mean_of(agreement, points * shown),
        "complete_at_the_end": round(float((at_end <= COMPLETE).mean()), 3),
        "fine_at_the_end": round(float((shown_at_end >= FINE).mean()), 3),
        "chamfer_at_the_end_m": distortions_of(at_end),
        "label_agreement_at_the_end": mean_of(agreement_at_end, points * shown_at_end),
    }


def mean_of(shares: Any, weights: Any) -> float:
    """Weighted mean of shares; 0 where all weights are."""
    return round(float(np.average(shares, weights=weights)), 3) if weights.any() else 0.0


def distortions_of(chamfer: Any) -> list[float | None]:
    """Median and 95 % of Chamfer distances, metres; None stands for infinite ones."""
    ordered = np.sort(chamfer)
    found = [float(ordered[int(share * (len(ordered) - 1))]) for share in (0.5, 0.95)]
    return [round(value, 3) if np.isfinite(value) else None for value in found]


def quantiles_of(delays: Any) -> list[float | None]:
    """Median, 90 % and 95 % of delays, seconds; None stands for infinite ones."""
    ordered = np.sort(delays)
    found = [float(ordered[int(share * (len(ordered) - 1))]) for share in (0.5, 0.9, 0.95)]
    return [round(delay, 1) if np.isfinite(delay) else None for delay in found]


def number_text(number: float | None) -> str:
    """A delay or distance in a table; None is one without end."""
    return "never" if number is None else f"{number}"


def line_of(report: dict[str, Any]) -> str:
    """One line about a run."""
    if not report["tiles"]:
        return f"{report['course']} {report['incident']}: no tile was passed but during the incident"
    return (
        f"{report['course']} {report['incident']}: {report['complete_in_time']:.0%} of {report['tiles']} tiles "
        f"complete {ALLOWED:g} s after passing (Chamfer {COMPLETE} m), {report['fine_in_time']:.0%} fine "
        f"({FINE:.0%} of the points within {NEAR} m), median {number_text(report['chamfer_m'][0])} m, most in 1 s "
        f"{max(report['most_bytes_of_messages_in_1_s'])} bytes, with DDS' own {max(report['most_bytes_in_1_s'])}; CPU "
        f"seconds {report['cpu_s']}, {report['encoder']}"
    )


def table_of(reports: list[dict[str, Any]]) -> str:
    """A table of all runs; tiles that the incident held up have a row of their own."""
    columns = (
        *("run", "tiles", "complete in 5 s", "fine in 5 s", "points shown", "Chamfer, 95 % [m]", "labels, at the end"),
        *("delay 95 % [s]", "complete, fine at the end", "Chamfer then, 95 % [m]"),
    )
    rows = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for report in reports:
        for name, of in ((report["incident"], report), (f"{report['incident']}, held up", report["held_up"])):
            if of["tiles"]:
                rows.append(f"| {report['course']}, {name} | {row_of(of)} |")
    return "\n".join([*rows, "", *(rate_row(report) for report in reports)])


def row_of(judged_tiles: dict[str, Any]) -> str:
    """The cells of a row of tiles."""
    found = judged_tiles
    pairs = [", ".join(map(number_text, found[name])) for name in ("chamfer_m", "chamfer_at_the_end_m")]
    cells = (
        *(str(found["tiles"]), f"{found['complete_in_time']:.1%}", f"{found['fine_in_time']:.1%}"),
        *(f"{found['points_shown']:.1%}", pairs[0]),
        f"{found['label_agreement']:.1%}, {found['label_agreement_at_the_end']:.1%}",
        *(number_text(found["delay_s"][2]), f"{found['complete_at_the_end']:.1%}, {found['fine_at_the_end']:.1%}"),
        pairs[1],
    )
    return " | ".join(cells)


def rate_row(report: dict[str, Any]) -> str:
    """What a run sent and what it took, in a line."""
    levels = "; ".join(f"{name.replace('_', ' ')}: {text}" for name, text in report["encoder"].items())
    seconds = {name: round(taken / report["seconds"], 2) for name, taken in report["cpu_s"].items()}
    return (
        f"{report['course']}, {report['incident']}: most bytes of messages in a second "
        f"{report['most_bytes_of_messages_in_1_s']}, with what DDS tells {report['most_bytes_in_1_s']}, of that over "
        f"5 s {report['most_bytes_in_5_s']}; CPU seconds a second {seconds}; {levels}"
    )


def write_between_marks(page: Path, text: str) -> None:
    """Write a text into a page in place of what stands between `MARKS`.

    Raises:
        ValueError: If the page has no such marks.
    """
    before, first, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    _, last, after = rest.partition(MARKS[1])
    if not (first and last):
        raise ValueError(f"{page}: got no lines {' and '.join(MARKS)}, expected both")
    page.write_text(f"{before}{first}\n\n{text}\n\n{last}{after}", encoding="utf-8")
