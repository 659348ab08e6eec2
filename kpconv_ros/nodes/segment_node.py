# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``segment``: PointCloud2 in, a label and a confidence on every point out.

Life cycle, input and diagnostics are those of `kpconv_ros.nodes.scan_node`. What is done with a scan is in
`kpconv_ros.nodes.scan_processor`, the method in `kpconv_ros.pipelines.live_segmenter`.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence
from typing import Any

from kpconv_ros.checkpoint import Model, load_model
from kpconv_ros.model_folder import choose_device
from kpconv_ros.nodes.map_service import MapService
from kpconv_ros.nodes.outputs import ScanOutputs, kept_labels
from kpconv_ros.nodes.parameters import LiveConfig
from kpconv_ros.nodes.poses import PoseConfig, PoseFinder
from kpconv_ros.nodes.run import use_large_messages
from kpconv_ros.nodes.scan_node import JOB_TIMEOUT, ScanNode, Work
from kpconv_ros.nodes.scan_processor import NO_FACTS, ScanProcessor
from kpconv_ros.nodes.segment_config import SegmentConfig
from kpconv_ros.nodes.spinning import spin_node
from kpconv_ros.pipelines.live_segmenter import LiveSegmenter, LiveSegmenterConfig


class SegmentNode(ScanNode[SegmentConfig]):
    """Lifecycle node around a `LiveSegmenter`."""

    work_text = "segmenting"
    reset_text = "the map is empty"

    def __init__(self, **node_arguments: Any) -> None:
        """Declare the parameters, and start when ``autostart`` is set.

        Args:
            node_arguments: Passed to the rclpy node (``context``, ``parameter_overrides``, ...).

        Raises:
            ParameterError: If a parameter is unknown or wrong.
        """
        self._model: Model | None = None
        self._segmenter: LiveSegmenter | None = None
        self._outputs: ScanOutputs | None = None
        self._poses: PoseFinder | None = None
        super().__init__("segment", SegmentConfig, NO_FACTS, self._check_classes, **node_arguments)
        self._pose_settings = LiveConfig(self, PoseConfig)
        self._pipeline_settings = LiveConfig(self, LiveSegmenterConfig, self._configure_pipeline)
        self.begin()

    def load(self) -> None:
        """Load and warm up the model; create publishers and services."""
        config = self._settings.config
        self._model = load_model(config.model, config.device)
        self._check_classes(config)
        self._segmenter = LiveSegmenter(self._model, self._pipeline_settings.config)
        self._segmenter.warm_up()
        manifest = self._model.manifest
        self._outputs = ScanOutputs(self, manifest)
        self.node_services.append(MapService(self, self._map_snapshot).service)
        self.get_logger().info(f"model {manifest.name}: {len(manifest.classes) - 1} classes, {self._device_text()}")

    def unload(self) -> None:
        """Free the model and its memory."""
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs, self._segmenter, self._model = None, None, None
        gc.collect()
        import torch

        if torch.cuda.is_available():
            with contextlib.suppress(RuntimeError):  # a lost device has nothing to give back
                torch.cuda.empty_cache()

    def start_work(self) -> Work:
        """Listen to poses."""
        assert self._model is not None and self._segmenter is not None and self._outputs is not None
        self._poses = PoseFinder(self, self._pose_settings.config)
        self._outputs.publish_label_info(self.get_clock().now().to_msg())
        processor = ScanProcessor(
            self._segmenter,
            self._model.manifest,
            self._poses,
            self._outputs,
            self.statistics,
            self.get_clock(),
            lambda: self._settings.config,
        )
        return Work(processor.process, processor.publish_map_if_due, processor.reset, self._poses.check_frame)

    def end_work(self) -> None:
        """Listen to poses no more."""
        if self._poses is not None:
            self._poses.close()
        self._poses = None

    def facts(self) -> dict[str, object]:
        """The model, where it runs, and its memory there."""
        facts: dict[str, object] = {"model": self._settings.config.model, "device": self._device_text()}
        if self._model is not None and self._device_text().startswith("cuda"):
            import torch

            facts["gpu_memory_mb"] = f"{torch.cuda.memory_allocated(self._device_text()) / 2**20:.0f}"
        return facts

    def _map_snapshot(self) -> tuple[Any, Any]:
        """The map and its model's manifest; raises RuntimeError when there is none."""
        if self.worker is None or self._segmenter is None or self._model is None:
            raise RuntimeError("not active")
        return self.worker.call(self._segmenter.map_snapshot).result(JOB_TIMEOUT), self._model.manifest

    def _check_classes(self, config: SegmentConfig) -> None:
        if self._model is not None:
            kept_labels(self._model.manifest.classes, config.classes_kept, config.classes_removed)
            kept_labels(self._model.manifest.classes, (), config.map_classes_removed)

    def _configure_pipeline(self, config: LiveSegmenterConfig) -> None:
        if self._segmenter is not None:
            self._segmenter.configure(config)

    def _device_text(self) -> str:
        device = self._settings.config.device
        return device if self._model is None else str(choose_device(device))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit status."""
    use_large_messages()
    return spin_node(SegmentNode, argv)


if __name__ == "__main__":
    sys.exit(main())
