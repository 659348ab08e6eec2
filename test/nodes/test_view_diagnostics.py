# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the live view takes from /diagnostics."""

import pytest

pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue  # noqa: E402

from kpconv_ros.nodes.view_diagnostics import Bandwidth, nodes_in, table_of  # noqa: E402

pytestmark = pytest.mark.ros
COUNTS = {"received": "12", "dropped": "1", "refused": "0"}


def message_of(name, level=DiagnosticStatus.OK, text="fine", **values):
    pairs = [KeyValue(key=key, value=value) for key, value in {**COUNTS, **values}.items()]
    return DiagnosticArray(status=[DiagnosticStatus(level=level, name=f"{name}: scans", message=text, values=pairs)])


def status_of(now, **values):
    return nodes_in(message_of("encode", **values), now)["encode"]


def test_our_nodes_are_told_from_others():
    message = message_of("segment", DiagnosticStatus.WARN, "scans take 200 ms, limit 100 ms")
    message.status.append(DiagnosticStatus(name="battery", values=[KeyValue(key="received", value="3")]))
    found = nodes_in(message, 5.0)
    assert set(found) == {"segment"}
    assert (found["segment"].level, found["segment"].heard_at) == ("WARN", 5.0)
    assert table_of({**nodes_in(message_of("register"), 5.0), **found}) == (
        "| node | | received | dropped | refused |\n|---|---|---|---|---|\n"
        "| register | ok | 12 | 1 | 0 |\n| segment | WARN | 12 | 1 | 0 |\n\n"
        "**register**: fine\n\n**segment**: scans take 200 ms, limit 100 ms"
    )


def test_bandwidth_is_what_was_sent_meanwhile():
    bandwidth = Bandwidth()
    assert bandwidth.curves("encode", status_of(10.0, sent_kb="100.0", cap_kbit_s="64.0")) == {
        "bandwidth/encode/cap": 64.0
    }
    curves = bandwidth.curves("encode", status_of(12.0, sent_kb="115.0", total_ms="3.5"))
    assert curves == {"bandwidth/encode/sent": 60.0, "latency/encode/total": 3.5}  # 15 kB in 2 s
    assert bandwidth.curves("encode", status_of(12.0, sent_kb="115.0")) == {}  # heard already
    assert bandwidth.curves("encode", status_of(13.0, sent_kb="2.0")) == {}  # a new session counts from zero
    assert bandwidth.curves("encode", status_of(14.0, sent_kb="3.0")) == {"bandwidth/encode/sent": 8.0}


def test_times_that_nodes_publish_scan_by_scan_are_not_taken_from_diagnostics():
    assert Bandwidth().curves("segment", status_of(1.0, total_ms="30.0")) == {}
