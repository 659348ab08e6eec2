# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the diagnostics say in each state."""

from dataclasses import replace

import pytest

pytest.importorskip("diagnostic_msgs")
from builtin_interfaces.msg import Time  # noqa: E402
from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402

from kpconv_ros.nodes.diagnostics import Counters, NodeState, assess, diagnostic_message  # noqa: E402

STATE = NodeState("active", True, "segmenting", "street", "/points", "reliable", 1, 0, 2, 100.0)
GOOD = Counters(num_received=5, num_processed=5, facts={"pose_source": "odometry"}, timings_ms={"total": 50.0})


@pytest.mark.parametrize(
    ("state", "counters", "level", "text"),
    [
        ({}, {}, DiagnosticStatus.OK, "segmenting"),
        ({}, {"num_received": 0}, DiagnosticStatus.WARN, r"waiting for the first cloud on /points \(1 publishers\)"),
        ({"enabled": False}, {}, DiagnosticStatus.WARN, "disabled"),
        ({"num_unmatched": 1}, {}, DiagnosticStatus.WARN, "best-effort"),
        ({}, {"warnings": ("scan by scan: no TF",)}, DiagnosticStatus.WARN, "scan by scan: no TF"),
        ({"warnings": ("no TF is published",)}, {}, DiagnosticStatus.WARN, "no TF is published"),
        ({}, {"last_error": "truncated", "last_error_at": 99.0}, DiagnosticStatus.ERROR, "truncated"),
        ({}, {"last_error": "truncated", "last_error_at": 50.0}, DiagnosticStatus.OK, "segmenting"),
        ({}, {"late_since": 99.0, "timings_ms": {"total": 150.0}}, DiagnosticStatus.WARN, "150 ms, limit 100 ms"),
        ({}, {"late_since": 90.0, "timings_ms": {"total": 150.0}}, DiagnosticStatus.ERROR, "150 ms"),
        ({"lifecycle": "unconfigured"}, {"last_error": "no model"}, DiagnosticStatus.ERROR, "no model"),
        ({"lifecycle": "inactive"}, {}, DiagnosticStatus.WARN, "inactive"),
    ],
)
def test_level_and_text(state, counters, level, text):
    found_level, found_text = assess(replace(STATE, **state), replace(GOOD, **counters), 100.0)
    assert found_level == level
    import re

    assert re.search(text, found_text)


def test_the_message_carries_the_numbers():
    status = diagnostic_message("segment", Time(), replace(STATE, facts={"device": "cuda"}), GOOD).status[0]
    values = {value.key: value.value for value in status.values}
    assert values["received"] == "5" and values["dropped"] == "2" and values["total_ms"] == "50.0"
    assert values["device"] == "cuda" and values["pose_source"] == "odometry" and status.name == "segment: scans"
