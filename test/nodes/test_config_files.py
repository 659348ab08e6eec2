# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped parameter files hold what the nodes declare."""

import dataclasses

import pytest
import yaml

pytest.importorskip("rclpy")
from kpconv_ros.config_io import config_from_mapping  # noqa: E402
from kpconv_ros.data.simulator import SimulatorConfig  # noqa: E402
from kpconv_ros.nodes.encode_config import DecodeConfig, EncodeConfig  # noqa: E402
from kpconv_ros.nodes.mounting import MountingConfig  # noqa: E402
from kpconv_ros.nodes.parameters import parameter_names  # noqa: E402
from kpconv_ros.nodes.poses import PoseConfig  # noqa: E402
from kpconv_ros.nodes.register_config import RegisterConfig  # noqa: E402
from kpconv_ros.nodes.segment_config import SegmentConfig  # noqa: E402
from kpconv_ros.nodes.simulate_node import SimulateNodeConfig  # noqa: E402
from kpconv_ros.pipelines.live_segmenter import LiveSegmenterConfig  # noqa: E402
from kpconv_ros.pipelines.map_decoder import MapDecoderConfig  # noqa: E402
from kpconv_ros.pipelines.map_encoder import MapEncoderConfig  # noqa: E402
from kpconv_ros.pipelines.map_registration import MapRegistrarConfig  # noqa: E402
from kpconv_ros.pipelines.odometry_result import OdometryConfig  # noqa: E402
from kpconv_ros.pipelines.tile_codec import TileCodecConfig, TileEncodingConfig  # noqa: E402
from kpconv_ros.viewing.config import ViewConfig  # noqa: E402

pytestmark = pytest.mark.ros
SEGMENT = (SegmentConfig, PoseConfig, LiveSegmenterConfig)
REGISTER = (RegisterConfig, MountingConfig, OdometryConfig, MapRegistrarConfig)
ENCODE = (EncodeConfig, PoseConfig, TileEncodingConfig, MapEncoderConfig)
DECODE = (DecodeConfig, TileCodecConfig, MapDecoderConfig)
VIEW = (ViewConfig, PoseConfig)
NODES = [("segment", SEGMENT), ("register", REGISTER), ("encode", ENCODE), ("decode", DECODE), ("view", VIEW)]
SIMULATE = (SimulateNodeConfig, SimulatorConfig)


def section(repository, file, node):
    return yaml.safe_load((repository / "config" / file).read_text())[f"/**/{node}"]["ros__parameters"]


def names_of(configs):
    return sorted(name for config in configs for name in parameter_names(config))


@pytest.mark.parametrize(("node", "configs"), NODES)
def test_the_file_of_a_node_names_every_parameter_and_its_default(repository, node, configs):
    in_file = section(repository, f"{node}.yaml", node)
    assert sorted(in_file) == names_of(configs)
    for config in configs:
        for name, default in defaults_of(config()):
            value = in_file[name]
            value = tuple(item for item in value if item != "") if isinstance(value, list) else value
            assert value == default, name


def defaults_of(config, prefix=""):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from defaults_of(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, value


@pytest.mark.parametrize(("node", "configs"), [("segment", SEGMENT), ("simulate", SIMULATE)])
def test_the_file_of_the_demo_names_parameters_with_allowed_values(repository, node, configs):
    in_file = section(repository, "demo.yaml", node)
    assert set(in_file) <= set(names_of(configs))
    for config in configs:
        own = {field.name for field in dataclasses.fields(config)}
        config_from_mapping(config, {name: value for name, value in in_file.items() if name in own})


def test_the_demo_tells_the_node_the_height_of_the_simulated_sensor(repository):
    heights = [section(repository, "demo.yaml", node)["sensor_height"] for node in ("segment", "simulate")]
    assert heights[0] == heights[1] == SimulatorConfig().sensor_height
