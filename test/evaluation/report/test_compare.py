# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports side by side, and the exit status for CI."""

import copy

import pytest

from kpconv_ros import cli
from kpconv_ros.evaluation.report.compare import FIGURES, figure_of, parse_limit
from kpconv_ros.evaluation.run_report import write_report


@pytest.fixture
def files(report, tmp_path):
    """A report, and one with a lower mIoU by 0.05 and a higher ATE by a fifth."""
    worse = copy.deepcopy(report)
    worse["segmentation"]["miou"] -= 0.05
    worse["registration"]["ate_m"]["rmse"] *= 1.2
    for name, content in (("a", report), ("b", worse)):
        write_report(content, tmp_path / f"{name}.json")
    return [str(tmp_path / "a.json"), str(tmp_path / "b.json")]


def compare(files, *limits):
    return cli.main(["compare", *files, *(word for limit in limits for word in ("--limit", limit))])


def test_figures_stand_side_by_side(files, report, capsys):
    assert compare(files) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mIoU  "))
    miou = report["segmentation"]["miou"]
    assert row.split()[1:] == [f"{miou:.4g}", f"{miou - 0.05:.4g}", "-0.05"]


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        ("segmentation.miou:0.051", 0),
        ("segmentation.miou:0.049", 1),
        ("registration.ate_m.rmse:21%", 0),
        ("registration.ate_m.rmse:19%", 1),
        ("scans.segmentation.dropped:0", 0),
    ],
)
def test_a_fall_beyond_the_tolerance_is_an_exit_status(files, limit, status, capsys):
    assert compare(files, limit) == status
    assert ("WORSE" in capsys.readouterr().out) == bool(status)


def test_getting_better_is_no_fall(files):
    assert compare(files[::-1], "segmentation.miou:0", "registration.ate_m.rmse:0%") == 0


def test_a_figure_that_is_gone_is_a_fall(files, report, tmp_path):
    gone = copy.deepcopy(report)
    gone["registration"] = None
    write_report(gone, tmp_path / "b.json")
    assert compare(files, "registration.ate_m.rmse:50%") == 1
    assert compare(files[::-1], "registration.ate_m.rmse:50%") == 0


@pytest.mark.parametrize("limit", ["miou:0.1", "segmentation.miou", "segmentation.miou:-1", "segmentation.miou:much"])
def test_a_malformed_limit_is_told(files, limit, capsys):
    assert compare(files, limit) == 2
    assert "expected FIGURE:TOLERANCE" in capsys.readouterr().err


def test_one_report_is_too_few(files, capsys):
    assert compare(files[:1]) == 2
    assert "expected two or more" in capsys.readouterr().err


def test_every_figure_of_a_full_run_can_be_found(report):
    missing = [figure.path for figure in FIGURES if figure_of(report, figure.path) is None]
    assert missing == [path for path in missing if path.startswith(("latency_ms.", "rate_search."))]
    assert parse_limit("scans_per_second:10%").tolerance == pytest.approx(0.1)
