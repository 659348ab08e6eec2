# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a soak, by hand."""

import json

import pytest

from kpconv_ros import cli
from kpconv_ros.evaluation.soak.command import is_flat
from kpconv_ros.evaluation.soak.samples import SoakNotes
from kpconv_ros.evaluation.soak.summary import summarise

SECOND = 1_000_000_000


def sample(seconds, memory, handles=20, threads=5):
    look = {"rss_mb": memory, "pss_mb": memory / 2, "uss_mb": memory / 4, "cpu_s": 0.5 * seconds}
    return {"seconds": seconds, "processes": {"register": {**look, "handles": handles, "threads": threads}}}


def notes_of(*samples, dropped=0):
    rates = {"rate_hz": 5.0, "dropped_at_80_percent": dropped, "scans_at_80_percent": 40}
    return SoakNotes({"command": "kpconv-ros test soak"}, rates, list(samples), {"why": "as planned"})


@pytest.fixture
def folder(tmp_path):
    """Logs of a run: a scan a second for a minute, of which the node answered all but two."""
    stamps = [SECOND * index for index in range(60)]
    (tmp_path / "published.log").write_text("".join(f"{stamp} {stamp + SECOND}\n" for stamp in stamps))
    answers = [f"register {stamp} {stamp + 2 * SECOND}\n" for stamp in stamps if stamp not in stamps[7:9]]
    (tmp_path / "record.answers").write_text("register 3 4\n" + "".join(answers))
    return tmp_path


def two_hours(late=100.0):
    """A sample a minute: much in the first ten minutes, then 100 MiB, at the end ``late``."""
    return [sample(60.0 * minute, 500.0 if minute < 10 else late if minute >= 110 else 100.0) for minute in range(121)]


def test_memory_is_compared_between_the_second_and_the_last_ten_minutes(folder):
    figures = summarise(notes_of(*two_hours(late=107.0)), folder)
    assert figures["hours"] == 2.0 and figures["window_s"] == 600.0 and figures["rate_hz"] == 5.0
    for growth in ("memory_growth", "memory_growth_pss", "memory_growth_uss"):
        assert figures[growth] == {"register": pytest.approx(0.07)}
    assert figures["memory_mb"] == {"register": [100.0, 107.0]} and figures["cpu_share"] == {"register": 0.5}
    assert not is_flat(figures) and is_flat(summarise(notes_of(*two_hours(late=104.0)), folder))


def test_a_short_run_has_shorter_windows(folder):
    figures = summarise(notes_of(*[sample(float(second), 100.0 + second) for second in range(61)]), folder)
    assert figures["window_s"] == 10.0
    assert figures["memory_mb"] == {"register": [114.5, 155.0]}  # means of 10 to 19 and of 50 to 60


def test_dropped_scans_are_counted_but_for_those_still_on_their_way(folder):
    figures = summarise(notes_of(*two_hours()), folder)
    assert figures["scans"] == 55 and figures["dropped_share"] == {"registration": pytest.approx(2 / 55, abs=1e-4)}


@pytest.mark.parametrize("kind", ["handles", "threads"])
def test_one_handle_or_thread_more_is_not_flat(folder, kind):
    samples = [*two_hours()[:-1], sample(7200.0, 100.0, **{kind: 21})]
    assert not is_flat(summarise(notes_of(*samples), folder))


def test_a_drop_at_four_fifths_of_the_rate_is_not_flat(folder):
    assert not is_flat(summarise(notes_of(*two_hours(), dropped=1), folder))


def test_the_log_of_a_run_that_goes_on_is_read_up_to_the_last_whole_line(folder):
    with (folder / "published.log").open("a") as log:
        log.write("9999 1")
    assert summarise(notes_of(*two_hours()), folder)["scans"] == 55


def test_the_command_sums_up_the_samples_of_a_killed_run(folder, tmp_path, capsys):
    lines = [{"kind": "rates", **notes_of().rates}, *({"kind": "sample", **each} for each in two_hours())]
    (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    results, picture = tmp_path / "results" / "soak.json", tmp_path / "soak.png"
    words = ["test", "soak", "--out", str(folder), "--results", str(results), "--picture", str(picture)]
    assert cli.main(words) == 0
    figures = json.loads(results.read_text())
    assert {"hours", "rate_hz", "memory_growth", "dropped_at_80_percent"} <= figures.keys()
    assert figures["ended"] == "killed" and picture.read_bytes().startswith(b"\x89PNG")
    assert "register" in capsys.readouterr().out
