# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run whose figures are known, without a network."""

import numpy as np
import pytest
from kitti_layout import write_sequence

from kpconv_ros.checkpoint import Manifest
from kpconv_ros.codec.packet import Packet, join_batch, pack_packet
from kpconv_ros.data.recordings import KittiRecording
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES, KITTI_COLORS, KittiSequence
from kpconv_ros.data.street_maps import StreetMap, cut_tiles
from kpconv_ros.evaluation.replay.options import EvaluateOptions
from kpconv_ros.evaluation.replay.registration import RegistrationTally
from kpconv_ros.evaluation.replay.result import RunResult
from kpconv_ros.evaluation.replay.segmentation import Labels, SegmentationTally, VotedMap
from kpconv_ros.evaluation.replay.transmission import TransmissionTally, link_configs
from kpconv_ros.evaluation.report.build import build_report
from kpconv_ros.pipelines.tile_codec import TileCodec

NUM_SCANS = 6
CLASSES = KITTI_CLASSES[:10]
MANIFEST = Manifest("known", "", "", CLASSES, KITTI_COLORS[:10], 2.0, 6.0, ("one",), 1.0)


def make_run(num_voxels=2000):
    """A drive along x through blocks of labels; a tenth of the published labels is wrong."""
    random = np.random.default_rng(0)
    result = RunResult(num_scans=NUM_SCANS, points=NUM_SCANS * 500, length=0.5, truth_source="topic")
    result.pose_source, result.seconds = "recording", 1.5
    result.segmentation, result.registration = SegmentationTally(MANIFEST), RegistrationTally()
    result.answered = {"segmentation": NUM_SCANS, "registration": NUM_SCANS}
    for index in range(NUM_SCANS):
        points = random.uniform((-20, -20, -2), (20, 20, 4), (500, 3)).astype(np.float32)
        truth = (1 + np.digitize(points[:, 0], np.linspace(-16, 16, 8))).astype(np.uint8)
        labels = np.where(random.random(500) < 0.1, 1, truth).astype(np.uint8)
        pose = np.eye(4)
        pose[0, 3] = index
        moved = pose.copy()
        moved[1, 3] = 0.02 * index
        result.segmentation.add(points, truth, Labels(labels, random.random(500)), pose)
        result.registration.add(index * 100_000_000, moved, np.eye(6) * 1e-4, pose)
        result.note_times("segmentation", {"inference": 20.0 + index, "total": 30.0 + index})
    voxels = random.uniform((-30, -30, -2), (30, 30, 4), (num_voxels, 3)).astype(np.float32)
    result.segmentation.map = VotedMap(
        voxels, (1 + np.digitize(voxels[:, 0], np.linspace(-16, 16, 8))).astype(np.uint8)
    )
    result.transmission = make_link(result.segmentation.map)
    result.usage = {
        "time_s": [0.5, 1.0],
        "processes": {"evaluate": {"cpu_percent": [90.0, None], "memory_mb": [500.0, None], "threads": [4.0, None]}},
        "gauges": {},
    }
    return result


def make_link(voted):
    """A link over which the map came whole, as its receiver would have it."""
    tally = TransmissionTally(link_configs({}), "map", MANIFEST, TileCodec())
    tally.see(voted.points, voted.labels)
    coder = tally.codec.coder(1)
    for sequence, (key, content) in enumerate(cut_tiles(StreetMap(voted.points, voted.labels)).items()):
        packet = Packet(coder.id, coder.decoder_hash, key, sequence, coder.encode(content, 2000))
        tally.take_message(0.2 * sequence, join_batch([pack_packet(packet)]))
    tally.end(4.5, voted.points + np.float32(0.05), voted.labels)
    return tally


@pytest.fixture(scope="session")
def run():
    """The run."""
    pytest.importorskip("evo")
    return make_run()


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """A recording to describe."""
    folder = tmp_path_factory.mktemp("recording") / "drive"
    write_sequence(folder, NUM_SCANS)
    return KittiRecording(KittiSequence(folder))


@pytest.fixture(scope="session")
def report(run, recording):
    """Its report."""
    return build_report(run, recording, EvaluateOptions(recording.sequence.folder, model="known"))
