# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is seen of processes, and the file that outlives a killed run."""

import os
import subprocess
import sys
import time

import pytest

from kpconv_ros.evaluation.soak.samples import ProcessSampler, SampleFile, SoakError, look_at, read_notes

TAKES = """
import sys, threading
def tell():
    print("ready", flush=True)
    sys.stdin.readline()
tell()
go_on = threading.Event()
thread = threading.Thread(target=go_on.wait)
thread.start()
held = bytearray(b"x") * (32 << 20)
with open(sys.argv[1], "w"):
    tell()
go_on.set()
"""


def test_an_open_file_a_thread_and_memory_are_seen(tmp_path):
    command = [sys.executable, "-c", TAKES, str(tmp_path / "open")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        looks = []
        for _ in range(2):
            assert child.stdout.readline() == "ready\n"
            looks.append(look_at(child.pid))
            print(file=child.stdin, flush=True)
    before, after = looks
    assert after["handles"] == before["handles"] + 1 and after["threads"] == before["threads"] + 1
    assert after["uss_mb"] - before["uss_mb"] == pytest.approx(32, abs=2)
    assert after["uss_mb"] <= after["pss_mb"] <= after["rss_mb"]


def test_processes_that_come_and_go_are_sampled_while_they_live(tmp_path):
    file = SampleFile(tmp_path / "samples.jsonl")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        pids = {"own": os.getpid(), "child": child.pid}
        with ProcessSampler(lambda: pids, file, 0.02):
            deadline = time.monotonic() + 10.0
            while file.path.read_text().count("child") < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            child.communicate(b"\n")
            num_lines = file.path.read_text().count("\n")
            while file.path.read_text().count("\n") < num_lines + 3 and time.monotonic() < deadline:
                time.sleep(0.01)
    file.close()
    samples = read_notes(file.path).samples
    assert "child" in samples[0]["processes"] and list(samples[-1]["processes"]) == ["own"]
    seconds = [sample["seconds"] for sample in samples]
    assert seconds == sorted(seconds)


def test_the_notes_of_a_killed_run_are_read_up_to_the_last_whole_line(tmp_path):
    file = SampleFile(tmp_path / "samples.jsonl")
    file.note("begin", command="a")
    file.note("rates", rate_hz=4.0)
    file.note("sample", seconds=1.0, processes={})
    file.close()
    with file.path.open("a") as unfinished:
        unfinished.write('{"kind": "sample", "seco')
    notes = read_notes(file.path)
    assert (notes.begin, notes.rates, notes.end) == ({"command": "a"}, {"rate_hz": 4.0}, {})
    assert notes.samples == [{"seconds": 1.0, "processes": {}}]


@pytest.mark.parametrize("text", ["", '{"kind": "begin"}\n', "[1]\n", '{"kind": "other"}\n', "x\n"])
def test_what_are_no_notes_is_refused_by_name(tmp_path, text):
    (tmp_path / "samples.jsonl").write_text(text)
    with pytest.raises(SoakError, match=r"samples\.jsonl"):
        read_notes(tmp_path / "samples.jsonl")
