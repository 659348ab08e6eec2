# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report as JSON: its schema, its figures, and what is no report."""

import copy
import json

import jsonschema
import numpy as np
import pytest

from kpconv_ros.evaluation.report.build import SCHEMA_FILE, VERSION, ReportError, describe_times, read_report
from kpconv_ros.evaluation.report.text import format_report
from kpconv_ros.evaluation.run_report import write_report

SCHEMA = json.loads(SCHEMA_FILE.read_text())


def test_a_report_fits_its_schema_after_json(report):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(json.dumps(report, allow_nan=False)), SCHEMA)


@pytest.mark.parametrize("key", ["version", "segmentation", "usage"])
def test_the_schema_refuses_a_report_with_something_missing_or_unknown(report, key):
    changed = copy.deepcopy(report)
    del changed[key]
    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate(changed, SCHEMA)
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.validate({**report, "surprise": 1}, SCHEMA)


def test_the_schema_is_of_the_version_that_is_written():
    assert SCHEMA["properties"]["version"] == {"const": VERSION}


def test_figures_are_those_of_the_run(report):
    segmentation, registration = report["segmentation"], report["registration"]
    confusion = np.array(segmentation["confusion"])
    assert confusion.sum() == 3000 == segmentation["points"]
    assert segmentation["accuracy"] == pytest.approx(np.trace(confusion) / 3000)
    assert 0.85 < segmentation["accuracy"] < 0.95
    assert registration["way_m"] == pytest.approx(5.0) and registration["final_error_m"] == pytest.approx(0.1)
    assert registration["rpe_m"]["rmse"] == pytest.approx(0.02)
    assert report["recording"]["rate_hz"] == pytest.approx(10.0) and report["scans_per_second"] == 4.0
    assert report["latency_ms"]["segmentation"]["total"]["p50"] == 32.5


def test_figures_of_the_link_are_those_of_its_messages(report):
    part = report["transmission"]
    assert part["bytes"] == sum(row["bytes"] for row in part["tiles"]) + part["messages"] * (190 + 2)  # of a length
    assert part["bandwidth"]["cap_bytes_per_s"] == 8000 and sum(part["bandwidth"]["bytes"]) == part["bytes"]
    assert part["shown"] > 0.99 and part["distortion"]["chamfer_m"]["mean"] == pytest.approx(0.05 * 3**0.5, abs=0.02)


def test_labels_after_convergence_are_judged_on_the_same_points(report):
    converged = report["segmentation"]["converged"]
    assert 0 < converged["points"] < 3000 and converged["scans"] == 6
    assert converged["published"]["accuracy"] == pytest.approx(0.9, abs=0.1)
    assert 0 < converged["agreement"] < 1


def test_times_of_nothing_are_none_and_histograms_count_every_scan():
    assert describe_times([])["p95"] is None
    times = describe_times([1.0, 2.0, 3.0, 10.0])
    assert (times["p50"], times["max"], times["mean"]) == (2.5, 10.0, 4.0)
    assert sum(times["histogram"]["counts"]) == 4 and len(times["histogram"]["edges"]) == 41


def test_the_table_for_the_terminal_has_the_figures(report):
    text = format_report(report)
    assert "mIoU, accuracy" in text and f"{report['segmentation']['miou']:.3f}" in text
    assert "ATE rmse [m]" in text and "dropped 0" in text


def test_what_is_no_report_is_told(tmp_path, report):
    write_report(report, tmp_path / "good.json")
    assert read_report(tmp_path / "good.json") == json.loads(json.dumps(report))
    (tmp_path / "no.json").write_text("no")
    with pytest.raises(ReportError, match="no readable JSON"):
        read_report(tmp_path / "no.json")
    for other in ([1], {}, {**report, "version": VERSION + 1}):
        (tmp_path / "other.json").write_text(json.dumps(other))
        with pytest.raises(ReportError, match=f"expected 'kpconv_ros/evaluation' {VERSION}"):
            read_report(tmp_path / "other.json")
