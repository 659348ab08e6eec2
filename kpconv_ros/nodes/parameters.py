# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters from Config dataclasses: one table gives name, type, text, range, default and what may change live.

A nested Config gives dotted names (``voxel_map.max_range``). An unknown parameter is an error that names it. ROS cannot
tell the type of an empty list, so a tuple of strings is empty when it holds only empty strings.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from kpconv_ros.config_io import ConfigError, check_range, config_from_mapping, convert, range_text

ConfigT = TypeVar("ConfigT")

ALWAYS_ALLOWED = ("use_sim_time", "start_type_description_service")
ALWAYS_ALLOWED_PREFIXES = ("qos_overrides.",)
NO_LIMIT = 1e18


class ParameterError(ValueError):
    """A parameter is unknown, of the wrong type, or out of range."""


def declare_config(node: Node, config_class: type[ConfigT], prefix: str = "") -> ConfigT:
    """Declare every field of a Config as a parameter and read the Config that the overrides give.

    Args:
        node: The node that gets the parameters.
        config_class: A dataclass of bool, int, float, str, tuples of these, and nested dataclasses.
        prefix: Put before each name (with its dot).
    Returns:
        The Config with the values of the command line and the parameter files.
    Raises:
        ParameterError: On a value of the wrong type or out of range, or one that the Config refuses.
    """
    mapping: dict[str, Any] = {}
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):  # type: ignore[arg-type]
        name, hint = prefix + field.name, hints[field.name]
        if dataclasses.is_dataclass(hint):
            mapping[field.name] = declare_config(node, hint, name + ".")  # type: ignore[arg-type]
            continue
        mapping[field.name] = _declare_field(node, name, field, hint)
    try:
        return config_from_mapping(config_class, mapping, f"parameters of {node.get_name()}")
    except ConfigError as error:
        raise ParameterError(str(error)) from error


def check_no_unknown_parameters(node: Node) -> None:
    """Refuse overrides (``-p``, YAML) of parameters that were not declared. Call it when all are declared.

    Raises:
        ParameterError: Naming the unknown parameter and the nearest known one.
    """
    for name in node._parameter_overrides:
        if node.has_parameter(name) or name in ALWAYS_ALLOWED or name.startswith(ALWAYS_ALLOWED_PREFIXES):
            continue
        near = difflib.get_close_matches(name, node._parameters, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ParameterError(f"node '{node.get_name()}' has no parameter '{name}'{hint}")


def parameter_names(config_class: type, prefix: str = "") -> Iterator[str]:
    """The names of the parameters that `declare_config` declares."""
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from parameter_names(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def descriptor_of(field: dataclasses.Field[Any], hint: Any) -> ParameterDescriptor:
    """The text, range and read-only flag of a Config field as a ROS parameter descriptor."""
    metadata = field.metadata
    descriptor = ParameterDescriptor(description=metadata.get("text", ""), read_only=not metadata.get("live", False))
    low, high = metadata.get("low"), metadata.get("high")
    if low is None and high is None:
        return descriptor
    low, high = -NO_LIMIT if low is None else low, NO_LIMIT if high is None else high
    if hint is int:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    elif hint is float:
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    return descriptor


class LiveConfig(Generic[ConfigT]):
    """A Config that follows the node's parameters; changes that the Config refuses are refused.

    ``config`` is replaced as a whole, so another thread that reads it once per scan sees no half of a change. The
    dataclass' ``__post_init__`` is where values are checked against each other.
    """

    def __init__(
        self,
        node: Node,
        config_class: type[ConfigT],
        on_change: Callable[[ConfigT], None] | None = None,
        check: Callable[[ConfigT], None] | None = None,
    ) -> None:
        """Declare the parameters of a Config and follow them.

        Args:
            node: The node that gets the parameters.
            config_class: See `declare_config`.
            on_change: Called with each new Config.
            check: Raises ValueError if a new Config does not fit what the node knows.

        Raises:
            ParameterError: As `declare_config`.
        """
        self.config = declare_config(node, config_class)
        self._on_change, self._check_fit = on_change, check
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def _check(self, parameters: Sequence[Parameter[Any]]) -> SetParametersResult:
        try:
            changed = self._changed(parameters)
            if self._check_fit is not None and changed != self.config:
                self._check_fit(changed)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: Sequence[Parameter[Any]]) -> None:
        changed = self._changed(parameters)
        if changed != self.config:
            self.config = changed
            if self._on_change is not None:
                self._on_change(changed)

    def _changed(self, parameters: Sequence[Parameter[Any]]) -> ConfigT:
        config = self.config
        for parameter in parameters:
            config = _replaced(config, parameter.name.split("."), parameter.value)
        return config


def _replaced(config: Any, path: list[str], value: Any) -> Any:
    """``config`` with the field at a dotted path replaced; unchanged where it has no such field."""
    fields = {field.name: field for field in dataclasses.fields(config)}
    if path[0] not in fields:
        return config
    if len(path) > 1:
        return dataclasses.replace(config, **{path[0]: _replaced(getattr(config, path[0]), path[1:], value)})
    hint = typing.get_type_hints(type(config))[path[0]]
    value = convert(_from_ros(value, hint), hint, path[0])
    check_range(value, fields[path[0]], path[0])
    return dataclasses.replace(config, **{path[0]: value})


def _declare_field(node: Node, name: str, field: dataclasses.Field[Any], hint: Any) -> Any:
    factory = field.default_factory
    default = field.default if factory is dataclasses.MISSING else factory()
    _fit_override(node, name, hint)
    try:
        parameter = node.declare_parameter(name, _to_ros(default, hint), descriptor_of(field, hint))
    except Exception as error:  # rclpy raises five unrelated classes here
        override = node._parameter_overrides.get(name)
        if override is None:
            raise ParameterError(f"parameter '{name}' of node '{node.get_name()}': {error}") from error
        expected = f"{_type_text(hint)} {range_text(field.metadata.get('low'), field.metadata.get('high'))}".strip()
        raise ParameterError(
            f"parameter '{name}' of node '{node.get_name()}': got {override.value!r}, expected {expected}"
        ) from error
    return _from_ros(parameter.value, hint)


def _fit_override(node: Node, name: str, hint: Any) -> None:
    """Accept ``1`` for a float and ``[]`` for a list of strings, which the ROS parser reads as other types."""
    override = node._parameter_overrides.get(name)
    if override is None:
        return
    value = override.value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        node._parameter_overrides[name] = Parameter(name, Parameter.Type.DOUBLE, float(value))
    elif typing.get_origin(hint) is tuple and value is None:
        node._parameter_overrides[name] = Parameter(name, value=_to_ros((), hint))
    elif typing.get_args(hint)[:1] == (float,) and override.type_ == Parameter.Type.INTEGER_ARRAY:
        node._parameter_overrides[name] = Parameter(name, value=[float(item) for item in value])


def _to_ros(value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) is not tuple:
        return value
    return list(value) if value else [""]


def _from_ros(value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) is not tuple:
        return value
    return [item for item in value if item != ""]


def _type_text(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
