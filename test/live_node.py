# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live nodes in threads of their own, and one that listens to what they say."""

import contextlib
import threading
import time
from concurrent.futures import Future

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from kpconv_ros.nodes.qos import stream_qos

PATIENCE = 30.0  # s


class SpinningNode:
    """A node with an executor in a thread of its own."""

    def __init__(self, node):
        self.node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def call(self, function):
        """Call a function in the executor's thread; rclpy nodes are not safe to change from another one."""
        return self._executor.create_task(function)

    def stop(self):
        self._executor.shutdown()
        self._thread.join(PATIENCE)
        self.node.destroy_node()

    def _spin(self):
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()


class Listener(SpinningNode):
    """Keeps what is published, and asks services. Of diagnostics it keeps those of one node, if that is named."""

    def __init__(self, context, name, diagnosed=""):
        super().__init__(rclpy.create_node(name, context=context))
        self._changed = threading.Condition()
        self.heard: dict[str, list] = {}
        self.listen(DiagnosticArray, "/diagnostics", only=lambda message: message.status[0].name.startswith(diagnosed))

    def listen(self, message_type, topic, qos=None, only=lambda message: True):
        self.heard.setdefault(topic, [])

        def keep(message):
            if not only(message):
                return
            with self._changed:
                self.heard[topic].append(message)
                self._changed.notify_all()

        return self.node.create_subscription(message_type, topic, keep, qos or stream_qos())

    def wait_for(self, topic, is_it, timeout=PATIENCE):
        """The first message on a topic, heard or yet to come, for which ``is_it`` is true."""
        deadline, looked_at = time.monotonic() + timeout, 0
        with self._changed:
            while True:
                for message in self.heard[topic][looked_at:]:
                    if is_it(message):
                        return message
                looked_at = len(self.heard[topic])
                left = deadline - time.monotonic()
                assert left > 0, f"waited in vain on {topic}; heard {looked_at} messages; {self.last_status()}"
                self._changed.wait(left)

    def last_status(self):
        heard = self.heard["/diagnostics"]
        return (heard[-1].status[0].message, dict(values_of(heard[-1]))) if heard else "no diagnostics"

    def wait_for_error(self, text):
        """The diagnostics, as soon as they tell of an error with this text."""
        return self.wait_for("/diagnostics", lambda message: text in values_of(message)["last_error"])

    def wait_for_value(self, key, value):
        """The values of the first diagnostics in which a key has this value."""
        return values_of(self.wait_for("/diagnostics", lambda message: values_of(message)[key] == value))

    def ask(self, service_type, name, request):
        """Call a service of the node."""
        client = self.node.create_client(service_type, name)
        there = self.node.get_service_names_and_types
        assert client.wait_for_service(PATIENCE), f"no service {name} within {PATIENCE} s; there are {there()}"
        answer = Future()
        self.call(lambda: client.call_async(request).add_done_callback(lambda done: answer.set_result(done.result())))
        return answer.result(PATIENCE)


def values_of(message):
    return {value.key: value.value for value in message.status[0].values}
