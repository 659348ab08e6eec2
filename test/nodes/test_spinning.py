# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The life of a node's process."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

pytestmark = [pytest.mark.ros, pytest.mark.slow]

INTERRUPTED_AT_THE_START = """
import os, signal, sys
import rclpy
from rclpy.node import Node
from kpconv_ros.nodes.spinning import spin_node

initialise = rclpy.init

def initialise_late(**arguments):
    os.kill(os.getpid(), signal.SIGINT)  # rclpy does not listen yet
    return initialise(**arguments)

rclpy.init = initialise_late
sys.exit(spin_node(lambda: Node("started_anyway"), []))
"""


def test_an_interrupt_that_comes_before_rclpy_listens_ends_the_process():
    assert subprocess.run([sys.executable, "-c", INTERRUPTED_AT_THE_START], timeout=30.0).returncode == 0
