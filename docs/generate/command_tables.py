# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of the arguments of every `kpconv-ros` command, from the parsers that read them."""

import argparse
import importlib

from markdown_page import code, table

from kpconv_ros.cli import COMMANDS, PROGRAM, Command


def command_sections() -> str:
    """A section for each command, in the order of the program's help."""
    return "\n".join(_section(command) for command in COMMANDS)


def _section(command: Command) -> str:
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} {command.words}", add_help=False)
    importlib.import_module(command.module).add_arguments(parser)
    rows = [_row(action, parser) for action in parser._actions]
    text = f"## {command.words}\n\n{command.text[0].upper()}{command.text[1:].rstrip(' .')}.\n"
    return f"{text}\n{table(('argument', 'default', 'what'), rows)}" if rows else text


def _row(action: argparse.Action, parser: argparse.ArgumentParser) -> tuple[str, str, str]:
    name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    if action.required and action.option_strings:
        name += " (needed)"
    default = "" if action.default in (None, False, argparse.SUPPRESS) or action.default == [] else str(action.default)
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    choices = ", ".join(map(str, action.choices)) if action.choices else ""
    return code(name), code(default), f"{text} ({choices})" if choices and choices not in text else text
