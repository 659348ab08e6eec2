# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The highest rate that the real nodes hold over DDS: a recording played there and back, faster and faster."""

from __future__ import annotations

import math
import time
from pathlib import Path

from kpconv_ros.data.publication_log import read_publications
from kpconv_ros.data.recorded_scans import ScanReader
from kpconv_ros.data.recordings import ODOMETRY_KIND, Recording
from kpconv_ros.evaluation.live_run import LiveSession, ros_parameters
from kpconv_ros.evaluation.replay.live import NS_PER_MS
from kpconv_ros.evaluation.replay.node_arguments import PART_OF_NODE, node_arguments, replay_arguments
from kpconv_ros.evaluation.replay.options import EvaluateOptions, EvaluationError
from kpconv_ros.evaluation.replay.outputs_record import load_outputs, read_answers
from kpconv_ros.evaluation.replay.rate_search import DROP_LIMIT, SAFE_SHARE, RateFound, RateTrial, find_highest_rate
from kpconv_ros.evaluation.replay.result import RunResult
from kpconv_ros.evaluation.replay.usage import UsageSampler

MIN_SCANS = 40
"""Of a trial, so that one dropped scan is less than the limit."""
SETTLE = 1.0
"""Seconds after a trial in which its last scans are answered."""


def run_rates(recording: Recording, options: EvaluateOptions) -> RunResult:
    """Search the highest rate; the latencies of the result are those of the run that confirmed it.

    Raises:
        ScanError: If there is no scan.
        EvaluationError: If the recording has less than two scans, or poses do not fit the clouds.
        LiveRunError: If a node dies or does not become ready.
    """
    result = RunResult(pose_source=options.pose_source(ODOMETRY_KIND in recording.kinds))
    reader = ScanReader(recording, options.selection)
    first = None
    for scan in reader:
        first = first or scan
        result.count(scan)
    assert first is not None  # the reader raises without a scan
    if result.length <= 0:
        raise EvaluationError(f"got {result.num_scans} scans in {result.length} s, expected a time between scans")
    recorded_rate = (result.num_scans - 1) / result.length
    nodes = node_arguments(options, result.pose_source, first)
    listens = ros_parameters(nodes=list(nodes), keep_labels=False, map_patience=0.0)
    with LiveSession(options.out, nodes, "record_outputs", listens) as session:
        trials = LiveTrials(session, options, list(nodes), recorded_rate)
        began = time.monotonic()
        with UsageSampler(session.pids) as usage:
            found = find_highest_rate(trials.run, recorded_rate, options.max_rate)
        result.seconds, result.usage = time.monotonic() - began, usage.report()
        path = session.finish()
    result.truth_source, result.problems = "none", list(reader.problems)
    fill_in(result, found, trials, path)
    return result


class LiveTrials:
    """Runs trials in one session; the recorder notes as it goes what was answered."""

    def __init__(self, session: LiveSession, options: EvaluateOptions, nodes: list[str], recorded_rate: float) -> None:
        """Try rates with ``nodes`` of a session, on a recording of ``recorded_rate`` [Hz]."""
        self._session, self._options, self._nodes, self._recorded_rate = session, options, nodes, recorded_rate
        self.trials: list[RateTrial] = []
        self.publications: list[dict[int, int]] = []

    def run(self, rate: float) -> RateTrial:
        """Play at a rate [Hz], and count what was dropped."""
        log = self._options.out.resolve() / f"published_{len(self.trials)}.log"
        num_clouds = max(MIN_SCANS, math.ceil(rate * self._options.trial))
        arguments = replay_arguments(
            self._options,
            len(self._nodes),
            log=str(log),
            loop=True,
            stamps_go_on=True,
            max_clouds=num_clouds,
            rate=float(rate / self._recorded_rate),
        )
        self._session.play("replay", arguments, waits_for_scan=False)
        time.sleep(SETTLE)
        published = read_publications(log)
        answers = read_answers(self._session.record, since_ns=min(published.values(), default=0))
        dropped = {PART_OF_NODE[node]: len(published.keys() - answers.get(node, {}).keys()) for node in self._nodes}
        times = list(published.values())
        span = (times[-1] - times[0]) * 1e-9 if len(times) > 1 else 0.0
        trial = RateTrial(rate, (len(times) - 1) / span if span > 0 else None, len(times), dropped)
        print(f"{rate:7.2f} Hz: {dropped} of {len(times)} scans dropped", flush=True)
        self.trials.append(trial)
        self.publications.append(published)
        return trial


def fill_in(result: RunResult, found: RateFound, trials: LiveTrials, path: Path) -> None:
    """Describe the search, and the run that confirmed it."""
    verified = found.verified
    result.diagnostics = load_outputs(path).diagnostics
    result.rate_search = {
        "drop_limit": DROP_LIMIT,
        "held_hz": found.held,
        "verified_hz": None if verified is None else verified.rate,
        "verified_dropped": None if verified is None else sum(verified.dropped.values()),
        "trials": [
            {
                "rate_hz": trial.rate,
                "sent_hz": trial.sent,
                "scans": trial.num_scans,
                "dropped": trial.dropped,
                "share": trial.share,
            }
            for trial in trials.trials
        ],
    }
    result.num_given = 0 if verified is None else verified.num_scans
    if verified is None:
        result.problems.append(
            f"no rate held: each had {100 * DROP_LIMIT:g} % of drops or more, or some at {SAFE_SHARE:g} of it"
        )
        return
    published = trials.publications[trials.trials.index(verified)]
    begin, end = min(published.values()), max(published.values()) + int(SETTLE * 1e9)
    for node, answers in read_answers(path, begin, end).items():
        part = PART_OF_NODE[node]
        result.answered[part] = len(answers.keys() & published.keys())
        for stamp_ns in answers.keys() & published.keys():
            result.note_times(part, {"latency": (answers[stamp_ns] - published[stamp_ns]) / NS_PER_MS})
