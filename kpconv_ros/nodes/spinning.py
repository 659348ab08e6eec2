# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The life of a node's process: arguments, executor, signals, and an end without a traceback."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from kpconv_ros.nodes.parameters import ParameterError
from kpconv_ros.nodes.params_file import check_params_files

LOOK_PERIOD = 1.0  # s; rclpy may wake its executor just before the context has ended, which then waits for ever


def spin_node(make_node: Callable[[], Node], argv: Sequence[str] | None = None) -> int:
    """Make a node and spin it until SIGINT, SIGTERM or the end of the context.

    Args:
        make_node: Makes the node after ``rclpy.init``.
        argv: Command line without the program (``["--ros-args", "-p", "rate:=10.0"]``); the process' own when None.
    Returns:
        Exit status: 0 after a clean end, 1 when arguments or parameters are wrong (printed to stderr).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    is_initialised = False
    try:
        unknown = arguments_outside_ros(arguments)
        if unknown:
            raise ParameterError(f"unknown arguments {unknown}; ROS arguments come after --ros-args")
        interrupted = _leave_interrupts_to_rclpy()
        rclpy.init(args=arguments)
        is_initialised = True
        if interrupted.is_set():  # before rclpy listened
            rclpy.try_shutdown()
            return 0
        node = make_node()
        check_params_files(arguments, node.get_fully_qualified_name())
    except (ParameterError, RuntimeError, ImportError) as error:
        if is_initialised and not rclpy.ok():
            return 0  # interrupted while the node was made
        print(f"error: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    _spin(node)
    return 0


def _leave_interrupts_to_rclpy() -> threading.Event:
    """Let SIGINT only shut the context down: a KeyboardInterrupt inside compiled code would crash the process.

    Returns:
        Set by a SIGINT; rclpy does not hear those that come before it is initialised.
    """
    interrupted = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda number, frame: interrupted.set())
    return interrupted


def arguments_outside_ros(arguments: Sequence[str]) -> list[str]:
    """What is not between ``--ros-args`` and ``--``; ROS itself would take a stray ``a:=b`` for a remap."""
    outside, is_ros = [], False
    for argument in arguments:
        if argument == "--ros-args":
            is_ros = True
        elif argument == "--" and is_ros:
            is_ros = False
        elif not is_ros:
            outside.append(argument)
    return outside


def _spin(node: Node) -> None:
    try:
        with SingleThreadedExecutor() as executor:
            node.create_timer(LOOK_PERIOD, lambda: None, clock=Clock(clock_type=ClockType.STEADY_TIME))
            executor.add_node(node)
            executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:  # what rclpy raises where the context ends between two of its calls
        if rclpy.ok():
            raise
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
