# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of clouds with as many points."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kpconv_ros.data.consistent_clouds import CloudSetConfig, load_cloud_set
from kpconv_ros.data.labelled_cloud import DatasetError


def write_shapes(path: Path, vertices: int = 50) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = {
        "neutral": generator.normal(0, 5, (vertices, 3)).astype(np.float32),
        "identity_delta_i16": generator.integers(-30_000, 30_000, (4, vertices, 3)).astype(np.int16),
        "identity_scale": np.full(4, 1e-5, np.float32),
        "expression_delta_i16": generator.integers(-30_000, 30_000, (3, vertices, 3)).astype(np.int16),
        "expression_scale": np.float32(1e-5),
    }
    np.savez(path, **shapes)
    return shapes


def test_heads_are_the_neutral_one_with_their_weights_in_millimetres(tmp_path: Path) -> None:
    shapes = write_shapes(tmp_path / "shapes.npz")
    data = load_cloud_set(CloudSetConfig(str(tmp_path / "shapes.npz"), 6, 50))
    assert data.clouds.shape == (6, 50, 3)
    assert float(data.clouds.std()) == pytest.approx(1, rel=1e-3)
    assert data.clouds.mean((0, 1)).abs().max() < 1e-5
    assert data.unit == pytest.approx(10 * shapes["neutral"].std(), rel=0.1)
    # Heads differ from each other by less than the 4 + 3 shapes allow, once their points are sorted alike.
    spread = data.clouds.sort(1).values.std(0).max() * data.unit
    assert 0.01 < float(spread) < 10 * 7 * 0.3


def test_no_two_clouds_tell_which_points_belong_together(tmp_path: Path) -> None:
    cloud = np.arange(300, dtype=np.float32).reshape(100, 3)
    np.save(tmp_path / "same.npy", np.stack([cloud] * 3))
    data = load_cloud_set(CloudSetConfig(str(tmp_path / "same.npy"), 3, 80))
    one, other = data.clouds[0].tolist(), data.clouds[1].tolist()
    assert sorted(one) == sorted(other) and sum(a == b for a, b in zip(one, other, strict=True)) < 10
    again = load_cloud_set(CloudSetConfig(str(tmp_path / "same.npy"), 3, 80))
    assert torch.equal(again.clouds, data.clouds)


def test_files_that_hold_no_such_clouds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="missing"):
        load_cloud_set(CloudSetConfig(str(tmp_path / "none.npz")))
    np.savez(tmp_path / "other.npz", neutral=np.zeros((4, 3)))
    with pytest.raises(DatasetError, match="identity_delta_i16"):
        load_cloud_set(CloudSetConfig(str(tmp_path / "other.npz")))
    np.save(tmp_path / "few.npy", np.zeros((2, 10, 3)))
    with pytest.raises(DatasetError, match=r"at least 3 clouds \(N, M, 3\), got \(2, 10, 3\)"):
        load_cloud_set(CloudSetConfig(str(tmp_path / "few.npy"), 3, 10))
    with pytest.raises(DatasetError, match="at least 11 points, got 10"):
        load_cloud_set(CloudSetConfig(str(tmp_path / "few.npy"), 2, 11))
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(DatasetError, match="expected an array"):
        load_cloud_set(CloudSetConfig(str(tmp_path / "text.npy"), 1, 1))
