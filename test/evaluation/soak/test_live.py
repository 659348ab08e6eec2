# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A soak of seconds, with the real node as a process."""

import json

import pytest
from evaluated import street_sequence

from kpconv_ros import cli

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def test_a_soak_of_seconds_has_all_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROS_DOMAIN_ID", "101")  # nodes of another test cannot be heard
    sequence, out = street_sequence(tmp_path / "00", 8), tmp_path / "soak"
    length = ("--hours", "0.0017", "--period", "0.5", "--rate", "8", "--trial", "1")
    status = cli.main(["test", "soak", str(sequence), "--parts", "registration", *length, "--out", str(out)])
    figures = json.loads((out / "soak.json").read_text())
    assert status in (0, 1) and figures["ended"] == "as planned"  # a machine that is busy drops scans
    assert figures["rate_hz"] == 8.0 and figures["scans_at_80_percent"] == 40
    assert figures["hours"] > 0.0016 and figures["samples"] >= 8
    assert {"register", "record_outputs", "replay"} == set(figures["memory_growth"])
    assert figures["memory_mb"]["register"][0] > 50 and figures["threads"]["register"][0] > 1
    assert figures["scans"] > 0 and figures["dropped_share"]["registration"] < 1.0
    assert figures["command"].startswith("kpconv-ros ") and "/" not in figures["command"].removeprefix("kpconv-ros ")
    assert (out / "soak.png").is_file() and "register" in capsys.readouterr().out
