# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the segment node publishes. Nothing is computed for a topic that nobody listens to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from kpconv_ros.config_io import ConfigError
from kpconv_ros.data.pointcloud2 import CloudFields, append_fields, keep_points, pack_rgb, pack_xyz
from kpconv_ros.nodes.pointcloud2_msg import packed_message
from kpconv_ros.nodes.qos import has_listener, latched_qos, stream_qos
from kpconv_ros.nodes.timings import TimingOutputs

TIMINGS = ("preprocess", "inference", "postprocess", "total", "pipeline_latency")
NUM_LABELS = 256  # a label is a uint8


class ScanOutputs:
    """Publishers of labels, coloured and filtered clouds, the map, the names of the labels, and timings."""

    def __init__(self, node: LifecycleNode, manifest: Any) -> None:
        """Create the publishers of ``node`` for the model that ``manifest`` describes."""
        self._node, self._manifest = node, manifest
        colors = np.zeros((NUM_LABELS, 3), np.uint8)
        colors[: len(manifest.colors)] = np.asarray(manifest.colors, np.uint8)
        self._rgb_of_label = pack_rgb(colors)
        self._labels, self._colored, self._filtered = (
            node.create_lifecycle_publisher(PointCloud2, f"~/output/{name}", stream_qos())
            for name in ("labels", "colored", "filtered")
        )
        self._map = node.create_lifecycle_publisher(PointCloud2, "~/output/map", latched_qos())
        self._info = node.create_lifecycle_publisher(label_info_class(), "~/output/label_info", latched_qos())
        self.timings = TimingOutputs(node, TIMINGS)

    def destroy(self) -> None:
        """Remove the publishers."""
        for publisher in (self._labels, self._colored, self._filtered, self._map, self._info):
            self._node.destroy_lifecycle_publisher(publisher)
        self.timings.destroy()

    def publish_label_info(self, stamp: Time) -> None:
        """Say, for late joiners too, what the labels mean."""
        message = label_info_class()()
        message.header.stamp = stamp
        message.model = self._manifest.name
        message.labels = list(range(len(self._manifest.classes)))
        message.names = list(self._manifest.classes)
        message.red, message.green, message.blue = (
            [int(color[channel]) for color in self._manifest.colors] for channel in range(3)
        )
        self._info.publish(message)

    def publish_scan(
        self,
        header: Header,
        cloud: CloudFields,
        labels: npt.NDArray[np.uint8],
        confidence: npt.NDArray[np.float32],
        kept_labels: npt.NDArray[np.bool_],
    ) -> None:
        """Publish one labelled scan.

        Args:
            header: Stamp and frame of the scan, which the outputs carry.
            cloud: The scan.
            labels: Label of each point, ``(N,)``.
            confidence: Its confidence, ``(N,)``.
            kept_labels: Whether points of a label go to the filtered cloud, ``(256,)``.
        """
        wants_filtered = has_listener(self._filtered)
        if has_listener(self._labels) or wants_filtered:
            is_dense = bool(np.isfinite(cloud.xyz).all())
            labelled = append_fields(cloud, labels, confidence)
            if has_listener(self._labels):
                self._labels.publish(packed_message(labelled, header, is_dense))
            if wants_filtered:
                self._filtered.publish(packed_message(keep_points(labelled, kept_labels[labels]), header, is_dense))
        if has_listener(self._colored):
            finite = np.isfinite(cloud.xyz).all(axis=1)
            colored = pack_xyz(cloud.xyz[finite], rgb=self._rgb_of_label[labels[finite]])
            self._colored.publish(packed_message(colored, header, True))

    def has_map_listener(self) -> bool:
        """Whether somebody listens to the map."""
        return has_listener(self._map)

    def publish_map(self, header: Header, snapshot: Any, kept_labels: npt.NDArray[np.bool_]) -> None:
        """Publish the voted voxels (a MapSnapshot) whose labels are kept, ``(256,)``; ``header`` has their frame."""
        rows = np.flatnonzero(kept_labels[snapshot.labels])
        labels = snapshot.labels[rows]
        packed = pack_xyz(
            snapshot.points[rows],
            label=labels,
            confidence=snapshot.confidence[rows],
            rgb=self._rgb_of_label[labels],
        )
        self._map.publish(packed_message(packed, header, True))


def kept_labels(classes: Sequence[str], kept: Sequence[str], removed: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which labels stay in the filtered cloud, ``(256,)``.

    Args:
        classes: Names of the labels, from 0.
        kept: Only these stay; all when empty.
        removed: Then these go.

    Raises:
        ConfigError: If a name is none of the model's classes.
    """
    unknown = [name for name in (*kept, *removed) if name not in classes]
    if unknown:
        raise ConfigError(f"got classes {unknown}, expected some of {list(classes)}")
    stays = np.zeros(NUM_LABELS, bool)
    for label, name in enumerate(classes):
        stays[label] = (not kept or name in kept) and name not in removed
    return stays


def label_info_class() -> Any:
    """The message class LabelInfo.

    Raises:
        ImportError: If the package's messages were not built.
    """
    try:
        from kpconv_ros.msg import LabelInfo
    except ImportError as error:
        raise ImportError("the messages of kpconv_ros are not built; run 'make build' (colcon build)") from error
    return LabelInfo
