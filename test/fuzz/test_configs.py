# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML of any content: refused with a line that names it, or a Config whose values have their types and ranges."""

import dataclasses
import math
import typing
from pathlib import Path

import pytest
import yaml

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kpconv_ros.checkpoint import Manifest, load_manifest, load_model  # noqa: E402
from kpconv_ros.config_io import ConfigError, load_config  # noqa: E402
from kpconv_ros.map_codec_checkpoint import MapCodecManifest, load_map_codec  # noqa: E402
from kpconv_ros.model_folder import MANIFEST, CheckpointError  # noqa: E402
from kpconv_ros.neural_qaad_checkpoint import NeuralQAADManifest, load_neural_qaad  # noqa: E402
from kpconv_ros.patch_sampler_checkpoint import PatchSamplerManifest, load_patch_sampler  # noqa: E402
from kpconv_ros.pipelines.live_segmenter import LiveSegmenterConfig  # noqa: E402
from kpconv_ros.pipelines.map_encoder import MapEncoderConfig  # noqa: E402
from kpconv_ros.pipelines.odometry_result import OdometryConfig  # noqa: E402
from kpconv_ros.sampling_checkpoint import SamplingManifest, load_sampler  # noqa: E402
from kpconv_ros.shape_checkpoint import ShapeManifest, load_shape_model  # noqa: E402

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "street_sim" / MANIFEST
CONFIGS = (LiveSegmenterConfig, OdometryConfig, MapEncoderConfig)
LOADERS = (load_model, load_map_codec, load_neural_qaad, load_patch_sampler, load_sampler, load_shape_model)
MANIFESTS = (Manifest, MapCodecManifest, NeuralQAADManifest, PatchSamplerManifest, SamplingManifest, ShapeManifest)
HUGE = st.sampled_from([10**400, -(10**309), 2**63, 1e308])
SCALARS = st.none() | st.booleans() | st.integers() | HUGE | st.floats() | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
ODDITIES = st.sampled_from(
    [
        "2001-99-99",  # a date that is none
        '!!int ""',
        '!!bool "maybe"',
        "!!timestamp x",
        "!!python/object/apply:os.system [ls]",
        "&a [*a]",
        "? [1, 2]\n: 3",
        "[" * 1100,
        "a: " * 400,
        "\x00",
        "- 1\n b: 2",
        "1e400",
        ".nan",
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzzed")


def check_values(config):
    """Every value has the type and the range of its field."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value, low, high = getattr(config, field.name), field.metadata.get("low"), field.metadata.get("high")
        hint, where = hints[field.name], f"{field.name}: {value!r}"
        if dataclasses.is_dataclass(hint):
            check_values(value)
        assert type(value) is (typing.get_origin(hint) or hint), where
        for number in (value if isinstance(value, tuple) else [value]) if low is not None else ():
            assert low <= number <= high if high is not None else low <= number, where


def load(config_class, path):
    try:
        config = load_config(config_class, path)
    except ConfigError as error:
        assert str(path) in str(error)
        return
    check_values(config)


@pytest.mark.parametrize("config_class", CONFIGS)
@given(data=st.data())
def test_known_keys_with_any_values_are_refused_or_right(folder, config_class, data):
    names = [field.name for field in dataclasses.fields(config_class)] + ["unknown", ""]
    mapping = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=5))
    path = folder / "known.yaml"
    path.write_text(yaml.safe_dump(mapping), encoding="utf-8")
    load(config_class, path)


@pytest.mark.parametrize("config_class", CONFIGS)
@given(text=st.text(max_size=200) | ODDITIES | st.builds("time_budget: {}".format, ODDITIES))
def test_any_text_is_refused_or_right(folder, config_class, text):
    path = folder / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    load(config_class, path)


@given(data=st.binary(max_size=100))
def test_any_bytes_are_refused_or_right(folder, data):
    (folder / "bytes.yaml").write_bytes(data)
    load(LiveSegmenterConfig, folder / "bytes.yaml")


def load_changed_manifest(folder, content):
    """Write a manifest and load it: refused by name, or as sound as the class promises."""
    (folder / MANIFEST).write_bytes(content)
    try:
        manifest = load_manifest(folder)
    except CheckpointError as error:
        assert str(folder) in str(error)
        return
    assert isinstance(manifest, Manifest) and len(manifest.classes) == len(manifest.colors) >= 2
    assert all(type(name) is str for name in manifest.classes) and type(manifest.voxel_size) is float
    assert all(len(color) == 3 and all(type(part) is int for part in color) for color in manifest.colors)
    assert all(0 <= part <= 255 for color in manifest.colors for part in color)
    sizes = (manifest.voxel_size, manifest.sphere_radius, manifest.intensity_scale)
    assert min(sizes) > 0 and all(map(math.isfinite, sizes))


@given(data=st.data())
def test_a_manifest_with_other_values_is_refused_or_sound(folder, data):
    manifest = yaml.safe_load(SHIPPED.read_text())
    for name in data.draw(st.lists(st.sampled_from([*manifest, "unknown"]), max_size=3)):
        manifest[name] = data.draw(VALUES)
    for name in data.draw(st.lists(st.sampled_from(sorted(manifest)), max_size=2)):
        manifest.pop(name, None)
    load_changed_manifest(folder, yaml.safe_dump(manifest).encode())


@given(share=st.floats(0, 1), put=st.binary(max_size=6) | ODDITIES.map(str.encode))
def test_a_manifest_with_other_bytes_is_refused_or_sound(folder, share, put):
    content = SHIPPED.read_bytes()
    place = int(share * len(content))
    load_changed_manifest(folder, content[:place] + put + content[place + len(put) :])


@pytest.mark.parametrize("kind", range(len(LOADERS)))
@given(data=st.data())
def test_a_manifest_of_any_kind_without_its_weights_is_refused_by_name(folder, kind, data):
    manifest = {"name": "a", "weights": "weights.safetensors", "sha256": 64 * "0", "classes": ["a", "b"]}
    manifest.update(voxel_size=0.1, features=["one"])
    names = [field.name for field in dataclasses.fields(MANIFESTS[kind])]
    manifest = {name: value for name, value in manifest.items() if name in names}
    manifest.update(data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=3)))
    path = folder / f"kind_{kind}"
    path.mkdir(exist_ok=True)
    (path / MANIFEST).write_text(yaml.safe_dump(manifest), encoding="utf-8")
    with pytest.raises(CheckpointError, match=path.name):
        LOADERS[kind](path)
