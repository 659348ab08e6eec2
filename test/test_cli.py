# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: its table, its help and what it says when something is wrong."""

import importlib.util
import subprocess
import sys
import types

import pytest

from kpconv_ros import cli


class RoomError(ValueError):
    """Stands for an error class of the package."""


RoomError.__module__ = "kpconv_ros.room"


def command_that(run, monkeypatch):
    """Put a command ``probe`` into the table that does ``run(args)``."""
    module = types.ModuleType("probe_of_cli")
    module.add_arguments = lambda parser: parser.add_argument("--times", type=int, default=1)
    module.run = run
    monkeypatch.setitem(sys.modules, "probe_of_cli", module)
    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("probe it", "probe_of_cli", "a probe"),))


def test_help_names_every_command(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(command.words in text and command.text in text for command in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.words)
def test_the_help_of_a_command_can_be_printed(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*command.words.split(), "--help"])
    assert end.value.code == 0 and f"kpconv-ros {command.words}" in capsys.readouterr().out


def test_no_command_prints_help_and_is_an_error(capsys):
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().out


def test_an_unknown_command_is_one_line_that_names_the_known_ones(capsys):
    assert cli.main(["segmnet", "file.bin"]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and "segmnet" in text and "bag-from-kitti" in text


def test_half_of_a_command_of_two_words_is_unknown(capsys):
    assert cli.main(["train"]) == 2
    assert "'train'" in capsys.readouterr().err


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.words)
def test_every_command_has_a_module(command):
    assert importlib.util.find_spec(command.module) is not None


def test_arguments_and_status_pass_through(monkeypatch):
    command_that(lambda args: args.times + 3, monkeypatch)
    assert cli.main(["probe", "it", "--times", "4"]) == 7


def test_an_error_of_the_package_is_one_line_and_status_2(monkeypatch, capsys):
    def fail(args):
        raise RoomError("got 3, expected 4")

    command_that(fail, monkeypatch)
    assert cli.main(["probe", "it"]) == 2
    assert capsys.readouterr().err == "kpconv-ros: probe it: got 3, expected 4\n"


def test_a_missing_file_is_one_line_that_names_it(monkeypatch, capsys, tmp_path):
    command_that(lambda args: len((tmp_path / "nothing.bin").read_text()), monkeypatch)
    assert cli.main(["probe", "it"]) == 2
    text = capsys.readouterr().err
    assert "nothing.bin" in text and "Traceback" not in text


def test_a_fault_of_ours_is_not_hidden(monkeypatch):
    command_that(lambda args: {}["key"], monkeypatch)
    with pytest.raises(KeyError):
        cli.main(["probe", "it"])


def test_traceback_is_shown_when_asked_for(monkeypatch):
    def fail(args):
        raise RoomError("got 3, expected 4")

    command_that(fail, monkeypatch)
    with pytest.raises(RoomError):
        cli.main(["--traceback", "probe", "it"])


def test_an_interrupt_ends_with_130(monkeypatch):
    def interrupt(args):
        raise KeyboardInterrupt

    command_that(interrupt, monkeypatch)
    assert cli.main(["probe", "it"]) == 130


def test_help_is_quick_and_imports_nothing_heavy():
    check = "import sys; from kpconv_ros import cli; cli.main(['-h']); print({'torch', 'rclpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip().endswith("set()")
