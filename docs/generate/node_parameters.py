# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of the nodes' parameters, from their Config dataclasses."""

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from markdown_page import code, table

from kpconv_ros.config_io import range_text
from kpconv_ros.data.simulator import SimulatorConfig
from kpconv_ros.nodes.encode_config import DecodeConfig, EncodeConfig
from kpconv_ros.nodes.mounting import MountingConfig
from kpconv_ros.nodes.poses import PoseConfig
from kpconv_ros.nodes.register_config import RegisterConfig
from kpconv_ros.nodes.replay_node import ReplayConfig
from kpconv_ros.nodes.segment_config import SegmentConfig
from kpconv_ros.nodes.simulate_node import SimulateNodeConfig
from kpconv_ros.nodes.true_map import TrueMapConfig
from kpconv_ros.pipelines.map_decoder import MapDecoderConfig
from kpconv_ros.pipelines.map_encoder import MapEncoderConfig
from kpconv_ros.pipelines.map_registration import MapRegistrarConfig
from kpconv_ros.pipelines.odometry_result import OdometryConfig
from kpconv_ros.pipelines.scan_map import LiveSegmenterConfig
from kpconv_ros.pipelines.tile_codec import TileCodecConfig, TileEncodingConfig
from kpconv_ros.viewing.config import ViewConfig

CONFIGS: dict[str, tuple[type, ...]] = {
    "segment": (SegmentConfig, PoseConfig, LiveSegmenterConfig),
    "register": (RegisterConfig, MountingConfig, OdometryConfig, MapRegistrarConfig),
    "encode": (EncodeConfig, PoseConfig, TileEncodingConfig, MapEncoderConfig),
    "decode": (DecodeConfig, TileCodecConfig, MapDecoderConfig),
    "simulate": (SimulateNodeConfig, TrueMapConfig, SimulatorConfig),
    "replay": (ReplayConfig,),
    "view": (ViewConfig, PoseConfig),
}
"""What each node declares; a test compares it with the running nodes."""


class Parameter(NamedTuple):
    """One parameter."""

    name: str
    kind: str
    default: str
    range: str
    live: bool
    text: str


def parameters_of(config_class: type, prefix: str = "") -> Iterator[Parameter]:
    """The parameters that a Config gives, nested ones with dotted names."""
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        hint, metadata = hints[field.name], field.metadata
        if dataclasses.is_dataclass(hint):
            yield from parameters_of(typing.cast(type, hint), f"{prefix}{field.name}.")
            continue
        yield Parameter(
            prefix + field.name,
            _kind(hint),
            _default(field.default, hint),
            range_text(metadata.get("low"), metadata.get("high")),
            metadata.get("live", False),
            metadata["text"],
        )


def parameter_table(node: str) -> str:
    """The parameters of a node, in the order of its Configs."""
    rows = [
        (code(entry.name), entry.kind, code(entry.default), entry.range, "yes" if entry.live else "", entry.text)
        for config in CONFIGS[node]
        for entry in parameters_of(config)
    ]
    return table(("parameter", "type", "default", "range", "live", "what"), rows)


def _kind(hint: Any) -> str:
    if typing.get_origin(hint) is not tuple:
        return str(hint.__name__)
    element, *rest = typing.get_args(hint)
    return f"{element.__name__} list" if rest == [Ellipsis] else f"{1 + len(rest)} {element.__name__}"


def _default(value: Any, hint: Any) -> str:
    """As it stands in a YAML file."""
    if typing.get_origin(hint) is tuple:
        return "[" + ", ".join(_default(item, None) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else f"{value}"
