# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects in the unit sphere, altered and packed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kpconv_ros.data.shapes import (
    Shape,
    ShapeAugmentationConfig,
    ShapeError,
    alter_points,
    fit_unit_sphere,
    make_shape,
    pack_shapes,
    voxelize_shape,
)

ALL = ("one", "x", "y", "z")
PLAIN = ShapeAugmentationConfig(scale=0.0, flip=(0.0, 0.0, 0.0), jitter=0.0)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def make_object(num_points: int = 300, category: int = 0, parts: bool = True) -> Shape:
    points = generator(category).uniform(-1, 1, (num_points, 3)) * (3, 2, 1) + (5, 6, 7)
    return make_shape(points, category, 1 + (points[:, 0] > 5).astype(np.int64) if parts else None)


def test_an_object_fits_the_unit_sphere_around_the_middle_of_its_box() -> None:
    points = fit_unit_sphere(np.array([[0, 0, 0], [8, 0, 0], [0, 6, 0], [0.1, 0.1, 0]]))
    np.testing.assert_allclose(points[:3], [[-0.8, -0.6, 0], [0.8, -0.6, 0], [-0.8, 0.6, 0]], atol=1e-6)
    assert points.dtype == np.float32
    far = fit_unit_sphere(np.array([[1e6, 0, 0], [1e6 + 1, 0, 0]]))
    np.testing.assert_allclose(far, [[-1, 0, 0], [1, 0, 0]])


def test_equal_points_go_to_the_origin_and_none_is_refused() -> None:
    assert fit_unit_sphere(np.full((3, 3), 7.0)).tolist() == [[0, 0, 0]] * 3
    for points in (np.zeros((0, 3)), np.array([[0, 0, np.nan]])):
        with pytest.raises(ShapeError, match="expected one or more, all finite"):
            fit_unit_sphere(points)


def test_voxels_are_the_barycentres_of_the_cells_with_the_most_frequent_part() -> None:
    shape = make_object()
    points, features, category, labels, voxel_of_point = voxelize_shape(shape, 0.3, ALL, PLAIN, generator())
    assert category == 0 and len(points) == len(labels) == len(features) < len(voxel_of_point) == 300
    for voxel in range(len(points)):
        own = (voxel_of_point == voxel).numpy()
        np.testing.assert_allclose(points[voxel], shape.points[own].mean(axis=0), atol=1e-5)
        assert np.ptp(shape.points[own], axis=0).max() <= 0.3 + 1e-5
        assert int(labels[voxel]) + 1 == np.bincount(shape.labels[own]).argmax()  # type: ignore[index]
    assert features[:, 0].eq(1).all() and features[:, 1:].equal(points)


def test_a_batch_holds_one_object_after_the_other() -> None:
    objects = [voxelize_shape(make_object(300, c), 0.3, ("z", "one"), PLAIN, generator()) for c in (3, 0)]
    batch = pack_shapes(objects)
    assert batch.lengths.tolist() == [len(one.points) for one in objects] and batch.categories.tolist() == [3, 0]
    for name in ("points", "features", "labels"):
        assert getattr(batch, name).equal(torch.cat([getattr(one, name) for one in objects]))


def test_objects_without_parts_have_no_labels_and_the_paper_feature() -> None:
    voxels = voxelize_shape(make_object(parts=False), 0.3, ("one",), PLAIN, generator())
    assert len(voxels.labels) == 0 and voxels.features.shape == (len(voxels.points), 1) and voxels.features.eq(1).all()
    with pytest.raises(ShapeError, match="features: expected some of one, x, y, z, got smell"):
        voxelize_shape(make_object(), 0.3, ("smell",), PLAIN, generator())


def test_axes_are_scaled_apart_within_the_range() -> None:
    corner = np.ones((1, 3), np.float32)
    scales = np.concatenate([alter_points(corner, replace(PLAIN, scale=0.2), generator(s)) for s in range(200)])
    assert 0.8 <= scales.min() < 0.82 and 1.18 < scales.max() <= 1.2
    assert np.ptp(scales, axis=1).max() > 0.3


def test_axes_flip_with_their_probabilities() -> None:
    corner, flip = np.ones((1, 3), np.float32), (0.5, 0.0, 1.0)
    signs = np.concatenate([alter_points(corner, replace(PLAIN, flip=flip), generator(s)) for s in range(200)])
    assert 80 < (signs[:, 0] == 1).sum() < 120 and (signs[:, 1] == 1).all() and (signs[:, 2] == -1).all()


def test_jitter_moves_every_point_on_its_own() -> None:
    still = np.zeros((4000, 3), np.float32)
    moved = alter_points(still, replace(PLAIN, jitter=0.01), generator())
    assert moved.std(axis=0) == pytest.approx([0.01] * 3, rel=0.1) and abs(moved.mean()) < 1e-3
    assert (alter_points(still, PLAIN, generator()) == 0).all()


def test_the_same_generator_makes_the_same_voxels() -> None:
    kind = ShapeAugmentationConfig()
    one, same, other = (voxelize_shape(make_object(), 0.2, ("x",), kind, generator(seed)) for seed in (1, 1, 2))
    for name in ("points", "features", "labels", "voxel_of_point"):
        assert getattr(one, name).equal(getattr(same, name))
    assert not one.points.equal(other.points)
