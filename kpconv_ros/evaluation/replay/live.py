# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording through the real nodes over DDS at the recorded rate, judged by what they published."""

from __future__ import annotations

import time
from pathlib import Path

from kpconv_ros.checkpoint import load_manifest
from kpconv_ros.data.label_stream import LABELS_SUFFIX, LabelStreamReader
from kpconv_ros.data.publication_log import read_publications
from kpconv_ros.data.recorded_scans import RecordedScan, ScanReader
from kpconv_ros.data.recordings import ODOMETRY_KIND, Recording
from kpconv_ros.evaluation.live_run import LiveSession, ros_parameters
from kpconv_ros.evaluation.replay.node_arguments import (
    PART_OF_NODE,
    node_arguments,
    num_cloud_listeners,
    replay_arguments,
)
from kpconv_ros.evaluation.replay.offline import recorded_pose
from kpconv_ros.evaluation.replay.options import EvaluateOptions
from kpconv_ros.evaluation.replay.outputs_record import OutputsRecord, load_outputs
from kpconv_ros.evaluation.replay.registration import RegistrationTally
from kpconv_ros.evaluation.replay.result import RunResult
from kpconv_ros.evaluation.replay.segmentation import Labels, SegmentationTally, VotedMap
from kpconv_ros.evaluation.replay.transmission import TransmissionTally, link_configs
from kpconv_ros.evaluation.replay.usage import UsageSampler

LOG = "published.log"
SETTLE = 1.5
"""Seconds after the last scan in which outputs may come."""
NS_PER_MS = 1e6


def run_live(recording: Recording, options: EvaluateOptions) -> RunResult:
    """Play a recording to the nodes, then read it again beside what they published.

    Raises:
        ScanError: If there is no scan.
        EvaluationError: If poses do not fit the clouds.
        LiveRunError: If a node dies or does not become ready.
    """
    result = RunResult(pose_source=options.pose_source(ODOMETRY_KIND in recording.kinds))
    first = next(iter(ScanReader(recording, options.selection)))
    nodes = node_arguments(options, result.pose_source, first)
    log = options.out.resolve() / LOG
    num_listeners = num_cloud_listeners(nodes)
    listens = ros_parameters(nodes=list(nodes), cloud_listeners=num_listeners)
    if "transmission" in options.parts:
        voxel = link_configs(options.transmit).encoder.voxel_size
        listens += ros_parameters(finish_delay=max(float(options.tail), SETTLE), map_voxel=voxel)
    with LiveSession(options.out, nodes, "record_outputs", listens) as session:
        began = time.monotonic()
        with UsageSampler(session.pids) as usage:
            arguments = replay_arguments(options, num_listeners, log=str(log), rate=float(options.speed))
            session.play("replay", arguments, waits_for_scan=False, tolerates_damage=True)
        result.seconds, result.usage = time.monotonic() - began, usage.report()
        path = session.finish()
    judge(recording, options, path, result)
    if not options.keep_labels:
        path.with_suffix(LABELS_SUFFIX).unlink(missing_ok=True)
    return result


def judge(recording: Recording, options: EvaluateOptions, path: Path, result: RunResult) -> None:
    """Count what was recorded, beside the recording itself."""
    record = load_outputs(path)
    publications = read_publications(options.out / LOG)
    judge = LiveJudge(options, record, path, publications, result)
    reader = ScanReader(recording, options.selection)
    for scan in reader:
        judge.take(scan)
    if result.segmentation is not None and record.map_points is not None and record.map_labels is not None:
        result.segmentation.map = VotedMap(record.map_points, record.map_labels)
    judge.end()
    result.truth_source, result.diagnostics = reader.truth_source, record.diagnostics
    result.problems = list(reader.problems)
    unplayed = result.num_scans - judge.num_played
    if unplayed:
        result.problems.append(f"{unplayed} scans of the recording were not played")
    for node, part in PART_OF_NODE.items():
        for stage, values in record.timings.get(node, {}).items():
            result.timings[part][stage] = values


class LiveJudge:
    """Joins scans with what was published of them."""

    def __init__(
        self,
        options: EvaluateOptions,
        record: OutputsRecord,
        path: Path,
        publications: dict[int, int],
        result: RunResult,
    ) -> None:
        """Join.

        Args:
            options: What was asked for.
            record: What was published.
            path: Its file, beside which the labels lie.
            publications: When each cloud was published, by stamp, nanoseconds.
            result: Filled in.
        """
        self._options, self._record, self._publications, self.result = options, record, publications, result
        self.num_played = 0
        if "segmentation" in options.parts:
            self._stream = LabelStreamReader(path.with_suffix(LABELS_SUFFIX))
            result.segmentation = SegmentationTally(load_manifest(options.model))
        if "registration" in options.parts:
            result.registration = RegistrationTally()
        if "transmission" in options.parts:
            tally = result.segmentation
            source, labelled = ("scans", None) if tally is None else ("map", tally.manifest)
            result.transmission = TransmissionTally(link_configs(options.transmit), source, labelled)

    def take(self, scan: RecordedScan) -> None:
        """Judge what was published of a scan."""
        result, record = self.result, self._record
        result.count(scan)
        self.num_played += scan.stamp_ns in self._publications
        recorded = recorded_pose(scan, self._options, result.pose_source)
        estimate = record.poses.get(scan.stamp_ns)
        if result.registration is not None:
            pose, covariance = (None, None) if estimate is None else estimate
            result.registration.add(scan.stamp_ns, pose, covariance, recorded)
            self._answer("register", scan)
        placed = recorded if result.pose_source == "recording" else None if estimate is None else estimate[0]
        if result.transmission is not None and result.segmentation is None and placed is not None:
            result.transmission.take_scan(scan.cloud.xyz, placed)
        if result.segmentation is not None and (labels := self._stream.labels_at(scan.stamp_ns)) is not None:
            published = Labels(labels.labels, labels.confidence)
            result.segmentation.add(scan.cloud.xyz, scan.labels, published, placed)
            self._answer("segment", scan)

    def end(self) -> None:
        """Judge what went over the link."""
        link, tally = self._record.link, self.result.transmission
        if link is None or tally is None:
            return
        began = min(self._publications.values(), default=0)
        for at, data in link.messages:
            tally.take_message((at - began) * 1e-9, data)
        if link.given is not None:
            tally.see(*link.given)
        span = (max(self._publications.values(), default=began) - began) * 1e-9
        tally.end(span + self._options.tail, *link.decoded)

    def _answer(self, node: str, scan: RecordedScan) -> None:
        """Count a node's answer and its latency, from the publication of the scan."""
        stamp_ns, part = scan.stamp_ns, PART_OF_NODE[node]
        published = self._record.published.get(node, {}).get(stamp_ns)
        if published is None:
            return
        self.result.answered[part] = self.result.answered.get(part, 0) + 1
        if stamp_ns in self._publications:
            self.result.note_times(part, {"latency": (published - self._publications[stamp_ns]) / NS_PER_MS})
