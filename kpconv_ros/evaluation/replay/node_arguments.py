# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the nodes of a live evaluation are started."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from kpconv_ros.data.recorded_scans import RecordedScan
from kpconv_ros.evaluation.demo import segment_arguments
from kpconv_ros.evaluation.live_run import Scalar, ros_parameters
from kpconv_ros.evaluation.replay.options import EvaluateOptions
from kpconv_ros.evaluation.score_odometry import register_arguments
from kpconv_ros.pipelines.live_segmenter import LiveSegmenterConfig
from kpconv_ros.pipelines.tile_codec import TileCodecConfig

PART_OF_NODE = {
    "segment": "segmentation",
    "register": "registration",
    "encode": "transmission",
    "decode": "transmission",
}
"""What a node does; a further part is added here with its node."""
ODOMETRY_TOPICS = {"register": "/register/output/odometry", "recording": "/odom", "none": "/odom"}
"""By where poses come from."""
REGISTERED_POSE_TIMEOUT = 2.0
"""How long a scan waits for its pose when that is being registered, seconds; as in ``segment.launch.py``."""


def node_arguments(options: EvaluateOptions, pose_source: str, first: RecordedScan) -> dict[str, tuple[str, ...]]:
    """What follows ``kpconv-ros run NODE`` for each node that the parts need.

    Args:
        options: What was asked for.
        pose_source: Where the segmentation's poses come from.
        first: A scan of the recording.

    Raises:
        EvaluationError: If the recorded poses are those of another frame.
    """
    nodes: dict[str, tuple[str, ...]] = {}
    if "registration" in options.parts:
        words = [f"{name}:={value}" for name, value in options.register.items()]
        nodes["register"] = register_arguments(["publish_tf:=false", *words])
    if "segmentation" in options.parts:
        nodes["segment"] = _segment_arguments(options, pose_source, first)
    if "transmission" in options.parts:
        nodes["decode"] = _decode_arguments(options)
        nodes["encode"] = _encode_arguments(options, pose_source, first)
    return nodes


def num_cloud_listeners(nodes: Mapping[str, Sequence[str]]) -> int:
    """How many of the nodes hear the clouds themselves: encode does where there is no map to send."""
    return sum(name in nodes for name in ("segment", "register")) + ("encode" in nodes and "segment" not in nodes)


def replay_arguments(options: EvaluateOptions, consumers: int, **more: Scalar) -> tuple[str, ...]:
    """Arguments of the replay node, at the recorded rate unless ``more`` says otherwise."""
    selection = options.selection
    parameters: dict[str, Scalar] = {
        "path": str(options.bag.resolve()),
        "sequence": options.sequence,
        "start": float(selection.start),
        "duration": float(selection.duration or 0.0),
        "stride": selection.stride,
        "consumers": consumers,
        "publish_tf": False,
        "clock": False,
        **options.topics,
        **more,
    }
    return ros_parameters(**parameters)


def _segment_arguments(options: EvaluateOptions, pose_source: str, first: RecordedScan) -> tuple[str, ...]:
    texts = dict(options.segment)
    height = float(texts.pop("sensor_height", LiveSegmenterConfig.sensor_height))
    arguments = segment_arguments(options.model, options.device, height, ODOMETRY_TOPICS[pose_source])
    parameters = ros_parameters(intensity_scale=float(options.intensity_scale))
    return arguments + _pose_arguments(options, pose_source, first) + parameters + _words(texts)


def _encode_arguments(options: EvaluateOptions, pose_source: str, first: RecordedScan) -> tuple[str, ...]:
    """The map of segment, or where that does not run the scans themselves, over a link in the nodes' own domain."""
    topics = {
        "~/input/map": "/segment/output/map",
        "~/input/points": "/lidar/points",
        "~/input/odometry": ODOMETRY_TOPICS[pose_source],
        "~/input/requests": "/decode/output/requests",
    }
    remaps = tuple(word for name, topic in topics.items() for word in ("-r", f"{name}:={topic}"))
    sends_map = "segmentation" in options.parts
    poses = () if sends_map else _pose_arguments(options, pose_source, first)
    return remaps + ros_parameters(input="map" if sends_map else "scans") + poses + _words(options.transmit)


def _decode_arguments(options: EvaluateOptions) -> tuple[str, ...]:
    of_codec = {field.name for field in dataclasses.fields(TileCodecConfig)}
    shared = {name: text for name, text in options.transmit.items() if name in of_codec}
    return ("-r", "~/input/latents:=/encode/output/latents", *_words(shared))


def _words(parameters: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(word for name, text in parameters.items() for word in ("-p", f"{name}:={text}"))


def _pose_arguments(options: EvaluateOptions, pose_source: str, first: RecordedScan) -> tuple[str, ...]:
    """Where a node has its poses from."""
    parameters: dict[str, Scalar | list[Scalar]] = {"pose_source": "none" if pose_source == "none" else "odometry"}
    if pose_source == "register":
        parameters["pose_timeout"] = REGISTERED_POSE_TIMEOUT
    if pose_source == "recording":
        options.T_child_sensor(first.frame_id, first.pose_frame)  # refuses other frames without an extrinsic
        if options.extrinsic is not None:
            numbers: list[Scalar] = [float(number) for number in options.extrinsic]
            parameters.update(sensor_frame=first.frame_id, extrinsic_xyz=numbers[:3], extrinsic_rpy=numbers[3:])
    return ros_parameters(**parameters)
