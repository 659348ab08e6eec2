# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map is written whole or not at all."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")
from kpconv_ros.data.clouds import read_cloud  # noqa: E402
from kpconv_ros.nodes.map_service import save_map  # noqa: E402
from kpconv_ros.pipelines.live_segmenter import MapSnapshot  # noqa: E402

MANIFEST = SimpleNamespace(colors=((0, 0, 0), (255, 0, 0)))


def snapshot(num_voxels=7):
    points = np.arange(3 * num_voxels, dtype=np.float32).reshape(-1, 3)
    ones = np.ones(num_voxels, np.float32)
    return MapSnapshot(points, np.ones(num_voxels, np.uint8), ones, ones)


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".PLY"])
def test_a_map_comes_back_as_it_was(tmp_path, suffix):
    path = tmp_path / f"map{suffix}"
    save_map(path, snapshot(), MANIFEST)
    np.testing.assert_allclose(read_cloud(path).points, snapshot().points)
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_map_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="the map is empty"):
        save_map(tmp_path / "map.ply", snapshot(0), MANIFEST)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "map.ply"
    path.write_text("old")
    broken = SimpleNamespace(points=None, labels=np.zeros(1, np.uint8), confidence=None, intensity=None)
    with pytest.raises(Exception, match=r".+"):
        save_map(path, broken, MANIFEST)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_other_formats_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'.txt', expected .ply or .pcd"):
        save_map(tmp_path / "map.txt", snapshot(), MANIFEST)
    with pytest.raises(OSError, match="absent"):
        save_map(tmp_path / "absent" / "map.ply", snapshot(), MANIFEST)
