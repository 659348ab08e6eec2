# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole system over DDS for hours: a recording there and back, stamps that go on, and a look every few seconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kpconv_ros.data.recorded_scans import RecordedScan, ScanReader
from kpconv_ros.data.recordings import ODOMETRY_KIND, Recording
from kpconv_ros.evaluation.live_run import LiveSession, ros_parameters
from kpconv_ros.evaluation.replay.node_arguments import node_arguments, replay_arguments
from kpconv_ros.evaluation.replay.options import EvaluateOptions
from kpconv_ros.evaluation.replay.rate_search import SAFE_SHARE, RateFound, RateTrial, find_highest_rate
from kpconv_ros.evaluation.replay.rates import LiveTrials
from kpconv_ros.evaluation.soak.samples import ProcessSampler, SampleFile, SoakError

PUBLISHED_LOG = "published.log"
LATENTS, REQUESTS, DECODED_MAP = "/encode/output/latents", "/decode/output/requests", "/decode/output/map"
VOTED_MAP = "/segment/output/map"


def run_soak(
    recording: Recording,
    options: EvaluateOptions,
    rate: float | None,
    hours: float,
    period: float,
    with_map_link: bool,
    file: SampleFile,
) -> None:
    """Find the rate, then play at it; all processes have ended when this returns.

    Args:
        recording: What is played.
        options: Parts, models, parameters, and the folder for logs.
        rate: Of the scans [Hz]; None: the highest that holds.
        hours: How long, in hours of scans.
        period: Between two looks at the processes, seconds.
        with_map_link: Whether the map is also encoded and decoded.
        file: What is found is noted there.

    Raises:
        SoakError: If no rate holds.
        LiveRunError: If a node dies or does not become ready.
    """
    recorded_rate, first = _look_through(recording, options)
    pose_source = options.pose_source(ODOMETRY_KIND in recording.kinds)
    nodes = node_arguments(options, pose_source, first)
    heard = [DECODED_MAP] if with_map_link and "segment" in nodes else []
    listens = ros_parameters(nodes=list(nodes), keep_labels=False, map_patience=0.0, heard=heard or [""])
    links = link_arguments() if heard else {}
    with LiveSession(options.out, {**nodes, **links}, "record_outputs", listens) as session:
        trials = LiveTrials(session, options, list(nodes), recorded_rate)
        found = _confirm(trials.run, rate) if rate else find_highest_rate(trials.run, recorded_rate, options.max_rate)
        file.note("rates", **_facts_of(found, trials.trials))
        if found.held is None:
            raise SoakError("no rate held, so there is none to go on with; --rate names one")
        with ProcessSampler(lambda: session.pids, file, period):
            log = str(options.out.resolve() / PUBLISHED_LOG)
            factor, num_scans = float(found.held / recorded_rate), math.ceil(3600.0 * hours * found.held)
            endless = {"loop": True, "stamps_go_on": True, "max_clouds": num_scans}
            arguments = replay_arguments(options, len(nodes), log=log, rate=factor, **endless)
            session.play("replay", arguments, waits_for_scan=False)
        session.finish()


def link_arguments() -> dict[str, tuple[str, ...]]:
    """What follows ``kpconv-ros run NODE`` for encoder and decoder of the voted map."""
    heard = (*_remap("~/input/map", VOTED_MAP), *_remap("~/input/requests", REQUESTS))
    return {"encode": (*ros_parameters(input="map"), *heard), "decode": _remap("~/input/latents", LATENTS)}


def _remap(name: str, topic: str) -> tuple[str, str]:
    return "-r", f"{name}:={topic}"


def _look_through(recording: Recording, options: EvaluateOptions) -> tuple[float, RecordedScan]:
    """The rate of a recording [Hz] and its first scan."""
    scans = iter(ScanReader(recording, options.selection))
    first = last = next(scans)
    count = 1
    for last in scans:  # noqa: B007 (the last one is meant)
        count += 1
    length = (last.stamp_ns - first.stamp_ns) * 1e-9
    if length <= 0:
        raise SoakError(f"got {count} scans in {length} s, expected a time between scans")
    return (count - 1) / length, first


def _confirm(try_rate: Callable[[float], RateTrial], rate: float) -> RateFound:
    """Take a rate as it was given, after a trial below it."""
    return RateFound(rate, try_rate(SAFE_SHARE * rate))


def _facts_of(found: RateFound, trials: list[RateTrial]) -> dict[str, Any]:
    below = found.verified
    return {
        "rate_hz": found.held,
        "below_hz": None if below is None else below.rate,
        "scans_at_80_percent": None if below is None else below.num_scans,
        "dropped_at_80_percent": None if below is None else sum(below.dropped.values()),
        "trials": [trial._asdict() for trial in trials],
    }
