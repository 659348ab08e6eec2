# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording through the pipelines in this process: every scan, as fast as it goes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kpconv_ros.checkpoint import Manifest, load_model
from kpconv_ros.config_io import config_from_mapping
from kpconv_ros.data.label_stream import LABELS_SUFFIX, LabelStreamWriter
from kpconv_ros.data.point_times import read_times
from kpconv_ros.data.pointcloud2 import CloudFields, PointCloud2Error
from kpconv_ros.data.recorded_scans import RecordedScan, ScanReader
from kpconv_ros.data.recordings import ODOMETRY_KIND, Recording
from kpconv_ros.evaluation.live_run import RECORD_FILE
from kpconv_ros.evaluation.replay.offline_link import OfflineLink
from kpconv_ros.evaluation.replay.options import EvaluateOptions, EvaluationError, values_of
from kpconv_ros.evaluation.replay.registration import RegistrationTally
from kpconv_ros.evaluation.replay.result import RunResult
from kpconv_ros.evaluation.replay.segmentation import Labels, SegmentationTally, VotedMap
from kpconv_ros.evaluation.replay.transmission import TransmissionTally, link_configs
from kpconv_ros.evaluation.replay.usage import UsageSampler
from kpconv_ros.pipelines.live_segmenter import LiveSegmenter, LiveSegmenterConfig
from kpconv_ros.pipelines.odometry import Odometry
from kpconv_ros.pipelines.odometry_result import OdometryConfig

Array = NDArray[Any]
MAP_PERIOD = 1.0
"""As the node segment by default: seconds between two maps."""


def run_offline(recording: Recording, options: EvaluateOptions) -> RunResult:
    """Run the parts over every scan.

    Raises:
        ScanError: If there is no scan.
        EvaluationError: If poses do not fit the clouds, or the model needs what the clouds lack.
        ConfigError: If a parameter is unknown or wrong.
        CheckpointError: If the model cannot be used.
    """
    run = OfflineRun(recording, options)
    reader = ScanReader(recording, options.selection)
    is_whole = options.selection.start == 0 and options.selection.duration is None
    total = -(-recording.num_clouds // options.selection.stride) if is_whole else None
    began = time.monotonic()
    with UsageSampler({"evaluate": os.getpid()}, gauges=_gpu_gauges()) as usage:
        for scan in tqdm(reader, desc="scans", unit="scan", total=total):
            run.take(scan)
        run.end()
    run.result.seconds = time.monotonic() - began
    run.result.usage = usage.report()
    run.result.truth_source, run.result.problems = reader.truth_source, list(reader.problems)
    return run.result


class OfflineRun:
    """The pipelines, and what is counted of them."""

    def __init__(self, recording: Recording, options: EvaluateOptions) -> None:
        """Load what the parts need."""
        self.options, self.result = options, RunResult()
        self.result.pose_source = options.pose_source(ODOMETRY_KIND in recording.kinds)
        self._segmenter: LiveSegmenter | None = None
        self._odometry: Odometry | None = None
        self._stream: LabelStreamWriter | None = None
        if "segmentation" in options.parts:
            model = load_model(options.model, options.device)
            config = config_from_mapping(LiveSegmenterConfig, values_of(options.segment), "segment")
            self._segmenter = LiveSegmenter(model, config)
            self._segmenter.warm_up()
            self.result.segmentation = SegmentationTally(model.manifest)
            if options.keep_labels:
                self._stream = LabelStreamWriter((options.out / RECORD_FILE).with_suffix(LABELS_SUFFIX))
        self._link: OfflineLink | None = None
        self._map_sent_at = -MAP_PERIOD
        if "transmission" in options.parts:
            tally = self.result.segmentation
            source, labelled = ("scans", None) if tally is None else ("map", tally.manifest)
            self.result.transmission = TransmissionTally(link_configs(options.transmit), source, labelled)
            self._link = OfflineLink(self.result.transmission)
        if "registration" in options.parts:
            config_of_odometry = config_from_mapping(OdometryConfig, values_of(options.register), "register")
            self._odometry = Odometry(config_of_odometry)
            self._odometry.warm_up()
            self.result.registration = RegistrationTally()

    def take(self, scan: RecordedScan) -> None:
        """Run the parts on a scan."""
        result = self.result
        result.count(scan)
        recorded = recorded_pose(scan, self.options, result.pose_source)
        registered = self._register(scan, recorded)
        pose = recorded if result.pose_source == "recording" else registered
        self._segment(scan, pose)
        self._transmit(scan, pose)

    def end(self) -> None:
        """Take the map as it is at the end."""
        if self._stream is not None:
            self._stream.close()
        if self._segmenter is not None and self.result.segmentation is not None:
            snapshot = self._segmenter.map_snapshot()
            self.result.segmentation.map = VotedMap(snapshot.points, snapshot.labels)
            if self._link is not None:
                self._link.take_map(snapshot.points, snapshot.labels)
        if self._link is not None:
            self.result.note_times("transmission", self._link.run_until(self.result.length + self.options.tail))
            self._link.end()

    def _register(self, scan: RecordedScan, recorded: Array | None) -> Array | None:
        """The pose of a scan by registration; None where it is not believed or that part does not run."""
        if self._odometry is None or self.result.registration is None:
            return None
        stamp = scan.stamp_ns * 1e-9
        found = self._odometry.process(scan.cloud.xyz, stamp, point_times(scan.cloud, stamp))
        self.result.note_times("registration", found.timings_ms)
        pose = found.T_odom_sensor if found.is_believed else None
        self.result.registration.add(scan.stamp_ns, pose, found.covariance, recorded)
        self.result.answered["registration"] = self.result.answered.get("registration", 0) + 1
        return pose

    def _segment(self, scan: RecordedScan, pose: Array | None) -> None:
        if self._segmenter is None or self.result.segmentation is None:
            return
        if pose is None and self.result.pose_source != "none":
            return  # as the node: a scan whose pose is not known is refused
        manifest = self.result.segmentation.manifest
        intensity = intensity_of(scan.cloud, manifest, self.options.intensity_scale)
        labelled = self._segmenter.process(scan.cloud.xyz, intensity, pose, scan.stamp_ns * 1e-9)
        self.result.note_times("segmentation", labelled.timings_ms)
        published = Labels(labelled.labels, labelled.confidence)
        if self._stream is not None:
            self._stream.add(scan.stamp_ns, time.time_ns(), labelled.labels, labelled.confidence)
        self.result.segmentation.add(scan.cloud.xyz, scan.labels, published, pose)
        self.result.answered["segmentation"] = self.result.answered.get("segmentation", 0) + 1

    def _transmit(self, scan: RecordedScan, pose: Array | None) -> None:
        """Let the link catch up with the recording; then give it the scan, or the voted map when that is due."""
        link, now = self._link, self.result.length
        if link is None:
            return
        timings_ms = link.run_until(now)
        if self._segmenter is None and pose is not None:
            link.take_scan(scan.cloud.xyz, pose)
        elif self._segmenter is not None and now - self._map_sent_at >= MAP_PERIOD:
            snapshot = self._segmenter.map_snapshot()
            link.take_map(snapshot.points, snapshot.labels)
            self._map_sent_at = now
        self.result.note_times("transmission", timings_ms)


def recorded_pose(scan: RecordedScan, options: EvaluateOptions, pose_source: str) -> Array | None:
    """Recorded pose of the sensor, ``(4, 4)``; None where there is none, or none is wanted.

    Raises:
        EvaluationError: If it is that of another frame.
    """
    if scan.pose is None or pose_source == "none":
        return None
    pose: Array = np.asarray(scan.pose) @ options.T_child_sensor(scan.frame_id, scan.pose_frame)
    return pose


def point_times(cloud: CloudFields, stamp: float) -> Array | None:
    """Seconds of each point after the stamp, ``(N,)``; None where the cloud has no times, or none of a scan."""
    try:
        return read_times(cloud, stamp)
    except PointCloud2Error:
        return None


def intensity_of(cloud: CloudFields, manifest: Manifest, scale: float) -> Array | None:
    """Intensities as the model expects them, ``(N,)``.

    Args:
        cloud: The scan.
        manifest: The model's.
        scale: Raw intensity that counts as 1; 0: what the model was trained with.

    Raises:
        EvaluationError: If the model needs intensities and the cloud has none.
    """
    if cloud.intensity is None:
        if "intensity" in manifest.features and len(cloud.xyz):
            names = [field.name for field in cloud.fields]
            raise EvaluationError(f"got fields {names}, expected an intensity, which model {manifest.name} needs")
        return None
    return cloud.intensity if scale == 0.0 else cloud.intensity * np.float32(manifest.intensity_scale / scale)


def _gpu_gauges() -> dict[str, Callable[[], float]]:
    import torch

    if not torch.cuda.is_available():
        return {}
    return {"gpu_memory_mb": lambda: torch.cuda.memory_allocated() / 2**20}
