# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pages: they build without a warning, and what they name exists."""

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kpconv_ros.cli import COMMANDS, find_command

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
CITING_ROOMS = ("layers", "losses", "geometry")


def functions_of_equations():
    """The dotted names in the tables of equations.md."""
    rows = [line for line in (ROOT / "docs" / "equations.md").read_text().splitlines() if line.startswith("| ")]
    return sorted({name for row in rows for name in re.findall(r"`(kpconv_ros\.[\w.]+)`", row)})


def find(dotted):
    """What a dotted name stands for: a module, or something in one."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise AssertionError(dotted)


@pytest.mark.parametrize("dotted", functions_of_equations())
def test_the_function_of_an_equation_exists(dotted):
    if ".kernels.gpu." in dotted:
        pytest.importorskip("triton")
    assert find(dotted) is not None


def test_a_function_that_does_not_exist_is_found_out():
    with pytest.raises(AttributeError):
        find("kpconv_ros.layers.kpconv.no_such_loss")


def test_every_module_that_cites_an_equation_is_in_the_tables():
    named = functions_of_equations()
    for room in CITING_ROOMS:
        for path in (ROOT / "kpconv_ros" / room).glob("*.py"):
            if re.search(r"Eqs?\. \(", path.read_text()):
                module = f"kpconv_ros.{room}.{path.stem}"
                assert [name for name in named if name.startswith(module)], f"{module} is not in docs/equations.md"


def commands_of(page):
    """Command lines of ``kpconv-ros`` that stand indented or in a code block, without comments."""
    text = re.sub(r"\\\n\s*", "", page.read_text())
    for line in text.splitlines():
        found = re.match(r"(?: {4}|    \$ )(kpconv-ros .*)", line)
        if found and "..." not in found[1]:
            yield shlex.split(found[1], comments=True)[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_are_such_as_the_program_takes(page):
    for words in commands_of(page):
        command = find_command(words)
        assert command is not None, words
        parser = argparse.ArgumentParser(exit_on_error=False)
        importlib.import_module(command.module).add_arguments(parser)
        try:
            parser.parse_args(words[len(command.words.split()) :])
        except (argparse.ArgumentError, SystemExit) as error:
            raise AssertionError(f"{page.name}: {' '.join(words)}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_private_names_are_quoted_or_the_shell_would_expand_them(page):
    assert not re.findall(r"-r ~/.*", page.read_text())


def test_there_are_commands_to_check():
    assert sum(len(list(commands_of(page))) for page in PAGES) > 30


@pytest.mark.slow
def test_the_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="needs requirements-docs.txt")
    pytest.importorskip("rclpy")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "api.html").read_text()
    for name in ("pipelines.segmenter.Segmenter.segment", "pipelines.odometry.Odometry.process"):
        assert f'id="kpconv_ros.{name}"' in reference
    assert "time for one scan" in reference  # the text of a Config's field
    commands = (tmp_path / "commands.html").read_text()
    for command in COMMANDS:
        assert f'id="{command.words.replace(" ", "-")}"' in commands
    assert "--num-votes" in commands
