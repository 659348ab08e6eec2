# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ``segment``: PointCloud2 in, a label and a confidence on every point out.

Configure loads the model, activate subscribes and starts the worker; callbacks only leave the latest message in the
worker's slot. What is done with a scan is in `kpconv_ros.nodes.scan_processor`, the method in
`kpconv_ros.pipelines.live_segmenter`.
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import SetBool, Trigger

from kpconv_ros.checkpoint import CheckpointError, Model, choose_device, load_model
from kpconv_ros.nodes.diagnostics import NodeState, Statistics, diagnostic_message
from kpconv_ros.nodes.latest_slot import Worker
from kpconv_ros.nodes.map_service import MapService
from kpconv_ros.nodes.outputs import ScanOutputs, kept_labels
from kpconv_ros.nodes.parameters import LiveConfig, check_no_unknown_parameters
from kpconv_ros.nodes.pose_msg import PoseError
from kpconv_ros.nodes.poses import PoseConfig, PoseFinder
from kpconv_ros.nodes.qos import AdaptiveSubscription, stream_qos
from kpconv_ros.nodes.run import use_large_messages
from kpconv_ros.nodes.scan_processor import NO_FACTS, ScanProcessor
from kpconv_ros.nodes.segment_config import SegmentConfig
from kpconv_ros.nodes.spinning import spin_node
from kpconv_ros.pipelines.live_segmenter import LiveSegmenter, LiveSegmenterConfig

INPUT_TOPIC = "~/input/points"
DIAGNOSTICS_PERIOD = 1.0  # s
LOG_PERIOD = 2.0  # s between two logs of the same kind
JOB_TIMEOUT = 30.0  # s that a service waits for the worker
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SegmentNode(LifecycleNode):
    """Lifecycle node around a `LiveSegmenter`."""

    def __init__(self, **node_arguments: Any) -> None:
        """Declare the parameters, and start when ``autostart`` is set.

        Args:
            node_arguments: Passed to the rclpy node (``context``, ``parameter_overrides``, ...).

        Raises:
            ParameterError: If a parameter is unknown or wrong.
        """
        super().__init__("segment", **node_arguments)
        self.statistics = Statistics(NO_FACTS)
        self._model: Model | None = None
        self._segmenter: LiveSegmenter | None = None
        self._outputs: ScanOutputs | None = None
        self._processor: ScanProcessor | None = None
        self._worker: Worker[PointCloud2] | None = None
        self._poses: PoseFinder | None = None
        self._input: AdaptiveSubscription | None = None
        self._node_services: list[Any] = []
        self._settings = LiveConfig(self, SegmentConfig, check=self._check_classes)
        self._pose_settings = LiveConfig(self, PoseConfig)
        self._pipeline_settings = LiveConfig(self, LiveSegmenterConfig, self._configure_pipeline)
        check_no_unknown_parameters(self)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on when simulated time stands still
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", stream_qos())
        self._diagnostics_timer = self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=steady)
        self._start_timer = self.create_timer(0.0, self._start, clock=steady)
        if not self._settings.config.autostart:
            self._start_timer.cancel()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model; create publishers and services."""
        config = self._settings.config
        try:
            self._model = load_model(config.model, config.device)
            self._check_classes(config)
            self._segmenter = LiveSegmenter(self._model, self._pipeline_settings.config)
            self._segmenter.warm_up()
            self._outputs = ScanOutputs(self, self._model.manifest)
            self._create_services()
        except (CheckpointError, ValueError, RuntimeError, ImportError) as error:
            self.statistics.note_error(f"cannot configure: {error}", refused_scan=False)
            self.get_logger().error(f"cannot configure: {error}")
            self._free()
            return FAILURE
        manifest = self._model.manifest
        self.get_logger().info(f"model {manifest.name}: {len(manifest.classes) - 1} classes, {self._device_text()}")
        return SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        assert self._model is not None and self._segmenter is not None and self._outputs is not None
        super().on_activate(state)
        self.statistics.clear()
        try:
            self._poses = PoseFinder(self, self._pose_settings.config)
        except PoseError as error:
            self.statistics.note_error(f"cannot activate: {error}", refused_scan=False)
            self.get_logger().error(f"cannot activate: {error}")
            return FAILURE
        self._processor = ScanProcessor(
            self._segmenter,
            self._model.manifest,
            self._poses,
            self._outputs,
            self.statistics,
            self.get_clock(),
            lambda: self._settings.config,
        )
        self._worker = Worker(self._processor.process, self._on_error, self._processor.publish_map_if_due)
        reliability = self._settings.config.input_reliability
        self._input = AdaptiveSubscription(self, PointCloud2, INPUT_TOPIC, self._on_cloud, reliability)
        self._outputs.publish_label_info(self.get_clock().now().to_msg())
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and end the worker; what waits in its slot is dropped."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and its memory."""
        self._free()
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End whatever the state was."""
        self._stop()
        self._free()
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a transition that failed unexpectedly."""
        self._stop()
        self._free()
        return SUCCESS

    def destroy_node(self) -> None:
        """End the worker before the node goes."""
        self._stop()
        super().destroy_node()

    def _start(self) -> None:
        self._start_timer.cancel()
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _on_cloud(self, message: PointCloud2) -> None:
        self.statistics.count_received()
        if self._settings.config.enabled and self._worker is not None:
            self._worker.slot.put(message)

    def _on_error(self, error: Exception) -> None:
        """A scan failed: say why, and go on. Called by the worker."""
        if not self.context.ok():
            return  # interrupted with a scan in hand
        is_expected = isinstance(error, ValueError | PoseError)
        text = str(error) if is_expected else f"{type(error).__name__}: {error}"
        self.statistics.note_error(text)
        detail = "" if is_expected else "\n" + "".join(traceback.format_exception(error))
        self.get_logger().error(f"scan refused: {text}{detail}", throttle_duration_sec=LOG_PERIOD)
        if not is_expected and self._segmenter is not None:
            self._segmenter.reset()  # the map may be half changed

    def _create_services(self) -> None:
        self._node_services = [
            self.create_service(Trigger, "~/reset", self._on_reset),
            self.create_service(SetBool, "~/set_enabled", self._on_set_enabled),
            MapService(self, self._map_snapshot).service,
        ]

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._worker is None or self._processor is None:
            response.message = "not active"
            return response
        self._worker.call(self._processor.reset).result(JOB_TIMEOUT)
        response.success, response.message = True, "the map is empty"
        return response

    def _on_set_enabled(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        result = self.set_parameters([Parameter("enabled", Parameter.Type.BOOL, request.data)])[0]
        if self._worker is not None and not request.data:
            self._worker.slot.clear()
        response.success, response.message = result.successful, result.reason
        return response

    def _map_snapshot(self) -> tuple[Any, Any]:
        """The map and its model's manifest; raises RuntimeError when there is none."""
        if self._worker is None or self._segmenter is None or self._model is None:
            raise RuntimeError("not active")
        return self._worker.call(self._segmenter.map_snapshot).result(JOB_TIMEOUT), self._model.manifest

    def _check_classes(self, config: SegmentConfig) -> None:
        if self._model is not None:
            kept_labels(self._model.manifest.classes, config.classes_kept, config.classes_removed)

    def _configure_pipeline(self, config: LiveSegmenterConfig) -> None:
        if self._segmenter is not None:
            self._segmenter.configure(config)

    def _publish_diagnostics(self) -> None:
        stamp = self.get_clock().now().to_msg()
        message = diagnostic_message(self.get_name(), stamp, self._node_state(), self.statistics.snapshot())
        self._diagnostics.publish(message)

    def _node_state(self) -> NodeState:
        config, subscription = self._settings.config, self._input
        return NodeState(
            lifecycle=self._state_machine.current_state[1],
            enabled=config.enabled,
            work="segmenting",
            hardware_id=config.model,
            input_topic=subscription.topic_name if subscription else INPUT_TOPIC,
            input_reliability="reliable" if subscription and subscription.reliable else "best effort",
            num_publishers=subscription.num_publishers() if subscription else 0,
            num_unmatched=subscription.num_unmatched() if subscription else 0,
            num_dropped=self._worker.slot.num_dropped if self._worker else 0,
            limit_ms=1e3 * config.processing_limit,
            facts=self._facts(),
        )

    def _facts(self) -> dict[str, object]:
        facts: dict[str, object] = {"model": self._settings.config.model, "device": self._device_text()}
        if self._model is not None and self._device_text().startswith("cuda"):
            import torch

            facts["gpu_memory_mb"] = f"{torch.cuda.memory_allocated(self._device_text()) / 2**20:.0f}"
        return facts

    def _device_text(self) -> str:
        device = self._settings.config.device
        return device if self._model is None else str(choose_device(device))

    def _stop(self) -> None:
        if self._input is not None:
            self._input.destroy()
        if self._worker is not None:
            self._worker.stop()
        if self._poses is not None:
            self._poses.close()
        self._input = self._worker = self._poses = self._processor = None

    def _free(self) -> None:
        for service in self._node_services:
            self.destroy_service(service)
        if self._outputs is not None:
            self._outputs.destroy()
        self._node_services, self._outputs, self._segmenter, self._model = [], None, None, None
        gc.collect()
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit status."""
    use_large_messages()
    return spin_node(SegmentNode, argv)


if __name__ == "__main__":
    sys.exit(main())
