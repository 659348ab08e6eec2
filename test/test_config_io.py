# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Config dataclasses are read strictly."""

from dataclasses import dataclass
from typing import Literal

import pytest

from kpconv_ros.config_io import ConfigError, config_from_mapping, config_to_mapping, load_config, param


@dataclass(frozen=True)
class Inner:
    radius: float = param(1.0, "radius [m]", 0.1, 10.0)


@dataclass(frozen=True)
class Outer:
    name: str = param("a", "a name")
    count: int = param(3, "how many", 1, 5)
    flag: bool = param(False, "a switch")
    widths: tuple[int, ...] = param((4, 8), "widths", 1)
    xyz: tuple[float, float, float] = param((0.0, 0.0, 0.0), "a place [m]")
    mode: Literal["fast", "slow"] = param("fast", "how")
    limit: float | None = param(None, "limit, if any")
    inner: Inner = param(Inner, "what is inside")

    def __post_init__(self):
        if self.flag and self.count == 5:
            raise ValueError("flag needs a count below 5")


def test_absent_keys_keep_their_defaults_and_nested_ones_are_read():
    config = config_from_mapping(Outer, {"inner": {"radius": 2}, "widths": [1, 2, 3], "limit": 4})
    assert config == Outer(inner=Inner(2.0), widths=(1, 2, 3), limit=4.0)
    assert isinstance(config.inner.radius, float)


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        ({"nmae": "x"}, "unknown key 'nmae'"),
        ({"inner": {"radios": 1}}, "unknown key 'radios'"),
        ({"count": "three"}, "count: got 'three'"),
        ({"count": 2.5}, "count: got 2.5"),
        ({"count": True}, "count: got True"),
        ({"count": 9}, "count: got 9, expected 1 to 5"),
        ({"flag": 1}, "flag: got 1"),
        ({"widths": [1, "x"]}, r"widths\[1\]: got 'x'"),
        ({"widths": [0]}, "widths: got 0, expected at least 1"),
        ({"xyz": [1.0]}, "xyz: got 1 values, expected 3"),
        ({"mode": "medium"}, "expected one of fast, slow"),
        ({"inner": {"radius": float("nan")}}, "got nan, expected 0.1 to 10.0"),
        ({"inner": 3}, "expected a mapping"),
        ({"limit": 10**400}, "limit: got a number of 1329 bits, expected a float"),
        ({"flag": True, "count": 5}, "flag needs a count below 5"),
    ],
)
def test_what_is_wrong_is_named(mapping, told):
    with pytest.raises(ConfigError, match=told):
        config_from_mapping(Outer, mapping)


def test_a_file_gives_what_was_written(tmp_path):
    import yaml

    config = Outer(name="b", widths=(7,), inner=Inner(3.0))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config_to_mapping(config)))
    assert load_config(Outer, path) == config


def test_an_empty_file_gives_the_defaults(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert load_config(Outer, path) == Outer()


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="absent.yaml"):
        load_config(Outer, tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1, ")
    with pytest.raises(ConfigError, match="broken.yaml"):
        load_config(Outer, broken)
