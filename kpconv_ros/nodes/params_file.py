# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A parameter file that names no node of this name is an error, where ROS would silently use the defaults."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any

from kpconv_ros.config_io import ConfigError, read_yaml
from kpconv_ros.nodes.parameters import ParameterError


def check_params_files(arguments: Sequence[str], node_name: str) -> None:
    """Look at each ``--params-file`` of a command line.

    Args:
        arguments: The command line.
        node_name: Full name of the node, with its namespace (``/segment``).
    Raises:
        ParameterError: If a file cannot be read, or has sections but none for this node.
    """
    for flag, path in zip(arguments, arguments[1:], strict=False):
        if flag != "--params-file":
            continue
        try:
            content = read_yaml(path)
        except ConfigError as error:
            raise ParameterError(f"parameter file {path}: {error}") from error
        sections = list(_sections(content))
        if not any(_matches(section, node_name) for section in sections):
            raise ParameterError(f"parameter file {path}: got sections {sections}, expected one for {node_name}")


def _sections(content: Any, prefix: str = "") -> Iterator[str]:
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if key == "ros__parameters":
            yield prefix or "/"
        else:
            yield from _sections(value, f"{prefix}/{str(key).strip('/')}")


def _matches(section: str, node_name: str) -> bool:
    return fnmatch.fnmatchcase(node_name, section.replace("/**/", "*/").replace("**", "*"))
