# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of a live run: their arguments and environment, and what happens when one does not do its part."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kpconv_ros.evaluation.live_run import _TerminateAsInterrupt, ros_parameters
from kpconv_ros.evaluation.node_processes import LiveRunError, NodeProcess, NodeProcesses, environment_of_nodes

STUBBORN = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def add_process(nodes, name, code):
    """Put a process that runs ``code`` among the nodes."""
    log = nodes.folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=output, stderr=output, start_new_session=True)
    nodes.nodes[name] = NodeProcess(process, log)
    return process


def test_parameters_become_arguments():
    got = ros_parameters(rate=10.0, seed=3, model="it's 00", quiet=True)
    assert got == ("-p", "rate:=10.0", "-p", "seed:=3", "-p", "model:='it''s 00'", "-p", "quiet:=true")
    assert ros_parameters() == ()


def test_nodes_find_this_package_and_keep_the_paths_of_the_user(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere/first")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    environment = environment_of_nodes()
    paths = environment["PYTHONPATH"].split(os.pathsep)
    assert paths[0] == "/somewhere/first" and (Path(paths[-1]) / "kpconv_ros" / "cli.py").is_file()
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


def test_a_node_that_died_is_named_with_the_end_of_its_log(tmp_path):
    with NodeProcesses(tmp_path) as nodes:
        add_process(nodes, "segment", "raise SystemExit('got 3, expected 4')").wait(20)
        with pytest.raises(LiveRunError, match=r"node 'segment' ended with status 1(.|\n)*got 3, expected 4"):
            nodes.check()


def test_a_node_may_end_when_that_was_agreed(tmp_path):
    with NodeProcesses(tmp_path) as nodes:
        add_process(nodes, "replay", "pass").wait(20)
        nodes.check(may_end=("replay",))
        assert nodes.has_ended("replay")


def test_waiting_ends_with_the_logs_when_nothing_comes(tmp_path):
    with NodeProcesses(tmp_path) as nodes:
        process = add_process(nodes, "segment", "import time; print('loading', flush=True); time.sleep(60)")
        nodes.wait_until(lambda: "loading" in (tmp_path / "segment.log").read_text(), "its first line", 20)
        with pytest.raises(LiveRunError, match=r"waited 0 s for the moon(.|\n)*loading"):
            nodes.wait_until(lambda: False, "the moon", 0.2)
    assert process.poll() is not None


def test_leaving_ends_a_process_that_ignores_the_interrupt(tmp_path, monkeypatch):
    monkeypatch.setattr("kpconv_ros.evaluation.node_processes.STOP_PATIENCE", 0.3)
    nodes = NodeProcesses(tmp_path)
    with pytest.raises(KeyboardInterrupt), nodes:
        process = add_process(nodes, "segment", STUBBORN)
        nodes.wait_until(lambda: "up" in (tmp_path / "segment.log").read_text(), "its first line", 20)
        raise KeyboardInterrupt
    assert process.poll() == -signal.SIGTERM


def test_a_terminate_signal_becomes_an_interrupt_and_the_old_handler_returns():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), _TerminateAsInterrupt():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) is before
