# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of launch arguments, from the launch files, which are parsed and not run: `launch` need not be installed."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

from markdown_page import code, table


class LaunchArgument(NamedTuple):
    """One argument."""

    name: str
    default: str
    text: str


def arguments_of(path: Path) -> list[LaunchArgument]:
    """The table ``ARGUMENTS`` of a launch file.

    Raises:
        ValueError: If it has none.
    """
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "ARGUMENTS":
            assert isinstance(statement.value, ast.Dict)
            entries = zip(statement.value.keys, statement.value.values, strict=True)
            return [_argument(name, value) for name, value in entries]
    raise ValueError(f"{path}: got no table ARGUMENTS, expected one")


def launch_page(folder: Path) -> list[str]:
    """The parts of the page of launch files."""
    parts = [
        "# Launch files",
        "For a machine with a ROS 2 distribution: `ros2 launch kpconv_ros FILE NAME:=VALUE ...`. "
        "`ros2 launch kpconv_ros FILE --show-args` prints the same tables. `$share` is the package's share folder.",
    ]
    for path in sorted(folder.glob("*.launch.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        rows = [(code(name), code(default), text) for name, default, text in arguments_of(path)]
        summary, *usage = (ast.get_docstring(module) or "").split("\n\n")
        commands = [f"    {line}" for text in usage for line in text.splitlines() if line.startswith("ros2 ")]
        parts += [f"## {path.name}", summary, "\n".join(commands), table(("argument", "default", "what"), rows)]
    return [parts[0], *(part for part in parts[1:] if part)]


def _argument(name: ast.expr | None, value: ast.expr) -> LaunchArgument:
    assert name is not None
    assert isinstance(value, ast.Tuple)
    default, text = value.elts
    return LaunchArgument(ast.literal_eval(name), _default(default), ast.literal_eval(text))


def _default(node: ast.expr) -> str:
    """The text of a default; a path below the share folder as ``$share/...``."""
    if isinstance(node, ast.Constant):
        return str(node.value) or '""'
    return "$share/" + "/".join(re.findall(r"'([^']*)'", ast.unparse(node)))
