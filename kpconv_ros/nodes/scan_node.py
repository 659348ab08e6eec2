# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all nodes that work on the latest cloud share: life cycle, input, worker, errors, diagnostics, two services.

Configure loads, activate subscribes and starts the worker; callbacks only leave the latest message in its slot.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import SetBool, Trigger

from kpconv_ros.config_io import ConfigError, param
from kpconv_ros.nodes.diagnostics import NodeState, Statistics, diagnostic_message
from kpconv_ros.nodes.latest_slot import Worker
from kpconv_ros.nodes.parameters import LiveConfig, check_no_unknown_parameters
from kpconv_ros.nodes.pose_msg import PoseError
from kpconv_ros.nodes.qos import AdaptiveSubscription, Input, stream_qos
from kpconv_ros.pipelines.device_error import is_device_lost

INPUT_TOPIC = "~/input/points"
RELIABILITIES = ("auto", "reliable", "best_effort")
DIAGNOSTICS_PERIOD = 1.0  # s
LOG_PERIOD = 2.0  # s between two logs of the same kind
JOB_TIMEOUT = 30.0  # s that a service waits for the worker
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@dataclass(frozen=True)
class ScanNodeConfig:
    """What can be set of every such node."""

    autostart: bool = param(True, "configure and activate at start; false leaves that to a lifecycle manager")
    input_reliability: str = param("auto", "auto (as the publishers), reliable or best_effort")
    max_points: int = param(4_000_000, "clouds of more points are refused", 1, 100_000_000)
    enabled: bool = param(True, "whether scans are worked on (see the service set_enabled)", live=True)
    processing_limit: float = param(0.1, "processing time above which the diagnostics warn [s]", 0.001, 10.0, live=True)

    def __post_init__(self) -> None:
        """Check the reliability."""
        if self.input_reliability not in RELIABILITIES:
            raise ConfigError(
                f"input_reliability: got '{self.input_reliability}', expected one of {', '.join(RELIABILITIES)}"
            )


class Work(NamedTuple):
    """What the worker does."""

    process: Callable[[PointCloud2], None]
    """Called with each cloud; raises ValueError or PoseError when it is to be refused."""
    on_idle: Callable[[], None]
    """Called when none came for a while."""
    reset: Callable[[], None]
    """Called for the service ``~/reset``."""
    check_frame: Callable[[str], None] = lambda frame: None
    """Called by the executor with the frame of each cloud; raises PoseError where the cloud is to be refused at once: a
    second lidar on the topic must not push the clouds of the first out of the slot."""
    capacity: int = 1
    """Clouds that may wait; where each brings what no later one does, more than the latest."""


ConfigT = TypeVar("ConfigT", bound=ScanNodeConfig)


class ScanNode(LifecycleNode, Generic[ConfigT], ABC):
    """Lifecycle node with one input of clouds; a child says what is loaded and what is done with a cloud."""

    work_text = ""
    """What the node does when all is well, such as "segmenting"."""
    reset_text = ""
    """What the service ``~/reset`` answers."""
    input_topic = INPUT_TOPIC
    """Where the clouds come from."""
    input_is_kept = False
    """Whether a cloud that was published before counts too: a map, not a scan."""

    def __init__(
        self,
        name: str,
        config_class: type[ConfigT],
        facts: Mapping[str, object],
        check: Callable[[ConfigT], None] | None = None,
        **node_arguments: Any,
    ) -> None:
        """Declare the parameters of the node; a child declares its others, then calls `begin`.

        Args:
            name: Name of the node.
            config_class: Its parameters.
            facts: What the diagnostics tell before the first scan.
            check: Raises ValueError if a changed Config does not fit what is loaded.
            node_arguments: Passed to the rclpy node (``context``, ``parameter_overrides``, ...).

        Raises:
            ParameterError: If a parameter is wrong.
        """
        super().__init__(name, **node_arguments)
        self.statistics = Statistics(facts)
        self.node_services: list[Any] = []
        self.worker: Worker[PointCloud2] | None = None
        self._work: Work | None = None
        self._is_device_lost = False
        self._input: Input | None = None
        self._settings = LiveConfig(self, config_class, check=check)

    def begin(self) -> None:
        """Go to work when ``autostart`` is set; all parameters are declared.

        Raises:
            ParameterError: If a parameter is unknown.
        """
        check_no_unknown_parameters(self)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on when simulated time stands still
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", stream_qos())
        self._diagnostics_timer = self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=steady)
        autostart = self._settings.config.autostart
        self._start_timer = self.create_timer(0.0, self._start, clock=steady, autostart=autostart)
        self._leave_timer = self.create_timer(0.0, self._leave, clock=steady, autostart=False)

    # --- what a child says

    @abstractmethod
    def load(self) -> None:
        """Make ready what scans need, publishers and services too; raises ValueError, RuntimeError or ImportError."""

    @abstractmethod
    def unload(self) -> None:
        """Free what `load` made, as far as it came."""

    @abstractmethod
    def start_work(self) -> Work:
        """Begin to listen to what is needed beside the clouds; raises PoseError."""

    @abstractmethod
    def end_work(self) -> None:
        """End what `start_work` began, as far as it came."""

    @abstractmethod
    def facts(self) -> dict[str, object]:
        """What the diagnostics tell of the node."""

    def listen(self) -> Input:
        """Subscribe to the clouds."""
        reliability = self._settings.config.input_reliability
        return AdaptiveSubscription(
            self, PointCloud2, self.input_topic, self._on_cloud, reliability, latched=self.input_is_kept
        )

    def warnings(self) -> tuple[str, ...]:
        """What the diagnostics warn of, whatever the last scan was."""
        return ()

    # --- life cycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load; create publishers and services."""
        try:
            self.load()
        except (ValueError, RuntimeError, ImportError) as error:
            self._tell(f"cannot configure: {error}")
            self._free()
            return FAILURE
        self.node_services += [
            self.create_service(Trigger, "~/reset", self._on_reset),
            self.create_service(SetBool, "~/set_enabled", self._on_set_enabled),
        ]
        return SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        super().on_activate(state)
        self.statistics.clear()
        try:
            self._work = self.start_work()
        except PoseError as error:
            self._tell(f"cannot activate: {error}")
            return FAILURE
        self.worker = Worker(self._work.process, self._on_error, self._work.on_idle, self._work.capacity)
        self._input = self.listen()
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and end the worker; what waits in its slot is dropped. An error if the device is lost."""
        self._stop()
        return TransitionCallbackReturn.ERROR if self._is_device_lost else super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free what was loaded."""
        self._free()
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End whatever the state was."""
        self._stop()
        self._free()
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a transition that failed unexpectedly, or a lost device."""
        self._stop()
        self._free()
        self._is_device_lost = False
        return SUCCESS

    def destroy_node(self) -> None:
        """End the worker before the node goes."""
        self._stop()
        super().destroy_node()

    def _start(self) -> None:
        self._start_timer.cancel()
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _leave(self) -> None:
        """Leave the active state by an error, since the device is lost: from there the node can be configured anew."""
        self._leave_timer.cancel()
        self.trigger_deactivate()

    def _stop(self) -> None:
        if self._input is not None:
            self._input.destroy()
        if self.worker is not None:
            self.worker.stop()
        self.end_work()
        self._input = self.worker = self._work = None

    def _free(self) -> None:
        for service in self.node_services:
            self.destroy_service(service)
        self.node_services = []
        self.unload()

    # --- clouds and services

    def _on_cloud(self, message: PointCloud2) -> None:
        self.statistics.count_received()
        if not self._settings.config.enabled or self.worker is None or self._work is None:
            return
        try:
            self._work.check_frame(message.header.frame_id)
        except PoseError as error:
            self._on_error(error)
            return
        self.worker.slot.put(message)

    def _on_error(self, error: Exception) -> None:
        """A scan failed: say why, and go on. Called by the worker, and for a cloud that it does not get."""
        if not self.context.ok():
            return  # interrupted with a scan in hand
        is_expected = isinstance(error, ValueError | PoseError)
        text = str(error) if is_expected else f"{type(error).__name__}: {error}"
        self.statistics.note_error(text)
        detail = "" if is_expected else "\n" + "".join(traceback.format_exception(error))
        self.get_logger().error(f"scan refused: {text}{detail}", throttle_duration_sec=LOG_PERIOD)
        if is_device_lost(error):
            self._is_device_lost = True
            self._leave_timer.reset()  # the worker cannot end itself
        elif not is_expected and self._work is not None:
            self._work.reset()  # the map may be half changed

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.worker is None or self._work is None:
            response.message = "not active"
            return response
        self.worker.call(self._work.reset).result(JOB_TIMEOUT)
        response.success, response.message = True, self.reset_text
        return response

    def _on_set_enabled(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        result = self.set_parameters([Parameter("enabled", Parameter.Type.BOOL, request.data)])[0]
        if self.worker is not None and not request.data:
            self.worker.slot.clear()
        response.success, response.message = result.successful, result.reason
        return response

    # --- diagnostics

    def _tell(self, error: str) -> None:
        self.statistics.note_error(error, refused_scan=False)
        self.get_logger().error(error)

    def _publish_diagnostics(self) -> None:
        stamp = self.get_clock().now().to_msg()
        name = self.get_fully_qualified_name().lstrip("/")  # two robots have a node of this name each
        message = diagnostic_message(name, stamp, self._node_state(), self.statistics.snapshot())
        self._diagnostics.publish(message)

    def _node_state(self) -> NodeState:
        config, subscription, facts = self._settings.config, self._input, self.facts()
        return NodeState(
            lifecycle=self._state_machine.current_state[1],
            enabled=config.enabled,
            work=self.work_text,
            hardware_id=str(next(iter(facts.values()), "")),
            input_topic=subscription.topic_name if subscription else self.input_topic,
            input_reliability="reliable" if subscription and subscription.reliable else "best effort",
            num_publishers=subscription.num_publishers() if subscription else 0,
            num_unmatched=subscription.num_unmatched() if subscription else 0,
            num_dropped=self.worker.slot.num_dropped if self.worker else 0,
            limit_ms=1e3 * config.processing_limit,
            facts=facts,
            warnings=self.warnings(),
        )
