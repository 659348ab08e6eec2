# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Config dataclasses: the description of a field, and strict reading from YAML.

A frozen dataclass is the one truth about what can be set. Its fields are written with `param`, which keeps the text,
the range and whether a running node may change the value; YAML files, ROS parameters and tables in the documentation
are all derived from that.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

ConfigT = TypeVar("ConfigT")


class ConfigError(ValueError):
    """A configuration holds an unknown key, a value of the wrong type, or one out of range."""


def param(default: Any, text: str, low: float | None = None, high: float | None = None, live: bool = False) -> Any:
    """Describe one field of a Config dataclass.

    Args:
        default: Value when nothing is set. A class stands for "make one" (nested Configs).
        text: What the value means, with its unit.
        low: Least allowed value, for numbers (each element, for tuples).
        high: Greatest allowed value.
        live: Whether a running node may change it; else it is read-only as a ROS parameter.
    Returns:
        A `dataclasses.field` that carries these as metadata.
    """
    metadata = {"text": text, "low": low, "high": high, "live": live}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def load_config(config_class: type[ConfigT], path: str | Path) -> ConfigT:
    """Read a Config from a YAML file.

    Raises:
        ConfigError: If the file is missing or not a mapping, or as `config_from_mapping` does.
    """
    mapping = read_yaml(path)
    return config_from_mapping(config_class, {} if mapping is None else mapping, str(path))


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file without objects of Python.

    Raises:
        ConfigError: If the file is missing, no text, or no YAML.
    """
    try:
        return parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


@lru_cache
def _loader() -> Any:
    """Return a loader that knows of Python's objects tuples alone, as lists: launch_ros writes parameters so."""
    import yaml  # here, as a machine that only measures its GPU lacks it

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", Loader.construct_yaml_seq)  # type: ignore[type-var]
    return Loader


def parse_yaml(text: str) -> Any:
    """Parse YAML without objects of Python.

    Raises:
        ConfigError: If it is no YAML, or nested too deeply.
    """
    import yaml

    try:
        return yaml.load(text, _loader())
    except RecursionError as error:
        raise ConfigError("got values nested too deeply") from error
    except Exception as error:  # a value that its tag does not fit (a date 2001-99-99) raises whatever its reader does
        raise ConfigError(f"got no YAML: {error}") from error


def config_from_mapping(config_class: type[ConfigT], mapping: Mapping[str, Any], source: str = "config") -> ConfigT:
    """Make a Config from nested mappings; what is absent keeps its default.

    Args:
        config_class: A dataclass; fields that are dataclasses read nested mappings.
        mapping: Field names to values.
        source: Where the values come from, for messages.
    Raises:
        ConfigError: On an unknown key (it is named), a wrong type, or a value out of range.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{source}: expected a mapping of {config_class.__name__} keys, got {mapping!r}")
    fields = {field.name: field for field in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            raise ConfigError(f"{source}: unknown key '{key}'; {config_class.__name__} has {', '.join(fields)}")
    hints = typing.get_type_hints(config_class)
    values = {}
    for key, value in mapping.items():
        values[key] = convert(value, hints[key], f"{source}: {key}")
        check_range(values[key], fields[key], f"{source}: {key}")
    try:
        return config_class(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from error


def config_to_mapping(config: Any) -> dict[str, Any]:
    """The nested plain values of a Config, ready for YAML (tuples become lists)."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    return typing.cast("dict[str, Any]", plain(dataclasses.asdict(config)))


def convert(value: Any, hint: Any, where: str) -> Any:
    """Bring a YAML value to the type of its field, without guessing.

    An int is taken for a float and a list for a tuple; nothing else is converted.

    Raises:
        ConfigError: With what was got and what was expected.
    """
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else config_from_mapping(hint, value, where)  # type: ignore[arg-type]
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, hint, where)
    if origin in (tuple, list):
        return _convert_sequence(value, hint, where)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise ConfigError(f"{where}: got {value!r}, expected one of {', '.join(map(str, typing.get_args(hint)))}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return _float_of(value, where)
    if hint is Path and isinstance(value, str):
        return Path(value)
    expected = origin or hint
    if expected is Any:
        return value
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(f"{where}: got {value!r} ({type(value).__name__}), expected {expected.__name__}")
    return value


def _float_of(value: int, where: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ConfigError(f"{where}: got a number of {value.bit_length()} bits, expected a float") from error


def range_text(low: float | None, high: float | None) -> str:
    """A range in words; empty if there is none."""
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"


def check_range(value: Any, field: dataclasses.Field[Any], where: str) -> None:
    """Raise `ConfigError` if a number, or an element of a tuple of numbers, leaves the range of its field."""
    low, high = field.metadata.get("low"), field.metadata.get("high")
    for number in value if isinstance(value, (tuple, list)) else (value,):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            continue
        below, above = low is not None and not number >= low, high is not None and not number <= high
        if below or above:
            raise ConfigError(f"{where}: got {number}, expected {range_text(low, high)}")


def _convert_union(value: Any, hint: Any, where: str) -> Any:
    choices = typing.get_args(hint)
    if value is None and type(None) in choices:
        return None
    problems = []
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return convert(value, choice, where)
        except ConfigError as error:
            problems.append(str(error))
    raise ConfigError("; or ".join(problems) or f"{where}: got {value!r}, expected None")


def _convert_sequence(value: Any, hint: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: got {value!r}, expected a list")
    kind, elements = typing.get_origin(hint), typing.get_args(hint)
    open_ended = kind is list or (len(elements) == 2 and elements[1] is Ellipsis)
    if not open_ended and len(value) != len(elements):
        raise ConfigError(f"{where}: got {len(value)} values, expected {len(elements)}")
    hints = [elements[0]] * len(value) if open_ended else elements
    return kind(
        convert(item, element, f"{where}[{i}]") for i, (item, element) in enumerate(zip(value, hints, strict=True))
    )
