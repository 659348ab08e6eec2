# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A parameter file for another node is not silently ignored."""

import pytest

pytest.importorskip("rclpy")
from kpconv_ros.config_io import read_yaml  # noqa: E402
from kpconv_ros.nodes.parameters import ParameterError  # noqa: E402
from kpconv_ros.nodes.params_file import check_params_files  # noqa: E402


def write(folder, section):
    path = folder / "params.yaml"
    path.write_text(f"{section}:\n  ros__parameters:\n    a: 1\n")
    return ["--ros-args", "--params-file", str(path)]


@pytest.mark.parametrize("section", ["segment", "/segment", "/**", "/**/segment", "/*"])
def test_a_section_for_the_node_is_found(tmp_path, section):
    check_params_files(write(tmp_path, section), "/segment")


def test_a_section_of_a_namespace_is_found(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("robot:\n  segment:\n    ros__parameters:\n      a: 1\n")
    check_params_files(["--params-file", str(path)], "/robot/segment")
    check_params_files(write(tmp_path, "/**/segment"), "/robot/segment")


@pytest.mark.parametrize("section", ["segmnet", "/other/segment", "simulate"])
def test_a_file_without_a_section_for_the_node_is_refused(tmp_path, section):
    with pytest.raises(ParameterError, match="expected one for /segment"):
        check_params_files(write(tmp_path, section), "/segment")


def test_a_missing_file_is_named():
    with pytest.raises(ParameterError, match=r"absent\.yaml"):
        check_params_files(["--params-file", "absent.yaml"], "/segment")


def test_lists_are_read_as_launch_writes_them(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("/**:\n  ros__parameters:\n    names: !!python/tuple\n    - car\n    - person\n")
    check_params_files(["--params-file", str(path)], "/segment")
    assert read_yaml(path)["/**"]["ros__parameters"]["names"] == ["car", "person"]
    path.write_text("/**:\n  ros__parameters:\n    names: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ParameterError, match="could not determine a constructor"):
        check_params_files(["--params-file", str(path)], "/segment")
