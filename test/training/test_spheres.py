# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training spheres."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kpconv_ros.data.clips import Clip
from kpconv_ros.mapping.features import FeatureError
from kpconv_ros.training.pieces import Piece
from kpconv_ros.training.spheres import AugmentationConfig, SphereCutter

PLAIN = AugmentationConfig(scale=0, jitter=0, height=0, intensity=0, intensity_drop=0, thinning=0)
FEATURES = ("one", "height", "intensity")


def make_cutter(clip: Clip, augmentation: AugmentationConfig = PLAIN, max_points: int = 10_000) -> SphereCutter:
    return SphereCutter([clip], 5, 0.3, 2.0, FEATURES, max_points, augmentation)


def test_classes_are_counted_without_the_unlabelled_one(clip: Clip) -> None:
    assert make_cutter(clip).class_counts().tolist() == [3 * 1350, 0, 0, 3 * 1350, 0]


def test_spheres_are_on_the_grid_around_their_centre(clip: Clip) -> None:
    cutter, generator = make_cutter(clip), np.random.default_rng(0)
    for _ in range(10):
        points, features, labels = cutter.cut(generator)
        assert points.dtype == features.dtype == torch.float32 and labels.dtype == torch.int64
        assert len(points) == len(features) == len(labels) > 16
        assert points.norm(dim=1).max() <= 2.0 * 1.05 + 1e-4
        assert set(labels.tolist()) <= {-1, 0, 3}
        assert features[:, 0].eq(1).all() and features[:, 2].min() >= 0 and features[:, 2].max() <= 1


def test_the_height_feature_is_that_above_the_ground_under_the_sensor(clip: Clip) -> None:
    cutter, generator = make_cutter(clip), np.random.default_rng(1)
    for _ in range(10):
        _, features, labels = cutter.cut(generator)
        floor = features[labels == 0, 1]  # the wall may share its lowest cells
        assert floor.abs().median() < 1e-3 if len(floor) else True


def test_the_range_feature_is_the_mean_distance_to_the_sensor_of_each_scan(clip: Clip) -> None:
    far = clip._replace(sensors=clip.sensors + np.array([0.0, 0.0, 1000.0]))
    for sensors_at, lowest, highest in ((clip, 0.0, np.log(30.0)), (far, np.log(980.0), np.log(1010.0))):
        cutter = SphereCutter([sensors_at], 5, 0.3, 2.0, ("range", "one"), 10_000, PLAIN)
        ranges = cutter.cut(np.random.default_rng(2)).features[:, 0]
        assert lowest < float(ranges.min()) <= float(ranges.max()) < highest
        assert len(ranges.unique()) > 16


def test_the_same_generator_cuts_the_same_sphere(clip: Clip) -> None:
    for augmentation in (PLAIN, AugmentationConfig()):
        one, same, other = (make_cutter(clip, augmentation).cut(np.random.default_rng(seed)) for seed in (3, 3, 4))
        assert all(a.equal(b) for a, b in zip(one, same, strict=True))
        assert not one.points.equal(other.points)


def test_every_class_is_drawn_evenly(clip: Clip) -> None:
    cutter, generator = make_cutter(clip), np.random.default_rng(0)
    centers = [cutter._draw_center(generator) for _ in range(200)]
    drawn = [int(cutter.clips[index].labels[last][row]) for index, last, row in centers]
    assert set(drawn) == {1, 4} and 70 < drawn.count(1) < 130


def test_without_balance_every_labelled_point_is_as_likely_a_centre(clip: Clip) -> None:
    cutter, generator = make_cutter(clip, AugmentationConfig(balance=0.0)), np.random.default_rng(0)
    centers = [cutter._draw_center(generator) for _ in range(400)]
    drawn = [int(cutter.clips[index].labels[last][row]) for index, last, row in centers]
    share = cutter.class_counts()[0] / cutter.class_counts().sum()
    assert 0 not in drawn and abs(drawn.count(1) / len(drawn) - share) < 0.1


def test_a_mixed_sphere_holds_two_with_their_grounds_at_one_height(clip: Clip) -> None:
    plain = make_cutter(clip, PLAIN).cut(np.random.default_rng(5))
    mixed = make_cutter(clip, replace(PLAIN, mixing=1.0)).cut(np.random.default_rng(5))
    assert len(mixed.points) > len(plain.points)
    floor = mixed.features[mixed.labels == 0, 1]
    assert floor.abs().median() < 1e-3


def test_only_the_voxels_nearest_to_the_centre_stay(clip: Clip) -> None:
    few, all_of_them = (make_cutter(clip, PLAIN, most).cut(np.random.default_rng(2)) for most in (20, 10_000))
    assert len(few.points) == 20 < len(all_of_them.points)
    assert float(few.points.norm(dim=1).max()) == pytest.approx(
        float(all_of_them.points.norm(dim=1).sort()[0][19]), rel=1e-5
    )


def test_dropped_intensities_are_zero(clip: Clip) -> None:
    sphere = make_cutter(clip, AugmentationConfig(intensity_drop=1.0)).cut(np.random.default_rng(0))
    assert sphere.features[:, 2].eq(0).all()


def colored(clip: Clip) -> Clip:
    """The clip with the floor red and the wall a blue of 51."""
    colors = [np.zeros((len(points), 3), np.uint8) for points in clip.points]
    for rows in colors:
        rows[:1500, 0], rows[1500:, 2] = 255, 51
    return clip._replace(colors=tuple(colors))


@pytest.mark.parametrize("mixing", [0.0, 1.0])
def test_points_carry_their_colours(clip: Clip, mixing: float) -> None:
    augmentation = replace(PLAIN, color_drop=0.0, thinning=0.5, mixing=mixing)
    cutter = SphereCutter([colored(clip)], 5, 0.3, 2.0, ("blue", "red", "green"), 10_000, augmentation)
    generator, seen = np.random.default_rng(0), set()
    for _ in range(10):
        features = cutter.cut(generator).features
        np.testing.assert_allclose(features[:, 0], 0.2 * (1 - features[:, 1]), atol=1e-5)  # cells may hold both
        assert features[:, 2].eq(0).all()
        seen |= set(features[:, 1].tolist())
    assert {0.0, 1.0} <= seen


def test_dropped_colours_are_zero_as_often_as_asked(clip: Clip) -> None:
    cutter = SphereCutter([colored(clip)], 5, 0.3, 2.0, ("red", "blue"), 10_000, replace(PLAIN, color_drop=0.5))
    generator = np.random.default_rng(0)
    dropped = [bool(cutter.cut(generator).features.eq(0).all()) for _ in range(100)]
    assert 30 < sum(dropped) < 70


def test_colours_of_clouds_without_any_are_refused(clip: Clip) -> None:
    with pytest.raises(FeatureError, match="no colour"):
        SphereCutter([clip], 5, 0.3, 2.0, ("red",), 10_000, PLAIN).cut(np.random.default_rng(0))


@pytest.fixture
def clip_with_person(clip: Clip) -> Clip:
    """The clip with a post of label 2 in its first scan, 1.7 m high, at a corner."""
    generator = np.random.default_rng(1)
    post = (generator.uniform((-3.8, -3.8, -1.9), (-3.6, -3.6, -0.2), (400, 3))).astype(np.float32)
    points = (np.concatenate([clip.points[0], post]), *clip.points[1:])
    labels = (np.append(clip.labels[0], np.full(400, 2, np.uint8)), *clip.labels[1:])
    intensities = (np.append(clip.intensities[0], np.ones(400, np.float32)), *clip.intensities[1:])
    return clip._replace(points=points, labels=labels, intensities=intensities)


def test_pasted_objects_stand_on_the_ground_at_other_places(clip_with_person: Clip) -> None:
    augmentation = replace(PLAIN, pasting=1.0, balance=0.0)
    cutter = SphereCutter([clip_with_person], 5, 0.3, 3.0, (*FEATURES, "range"), 10_000, augmentation, (2,), (1,))
    generator, found = np.random.default_rng(0), 0
    for _ in range(20):
        points, features, labels = cutter.cut(generator)
        on_post = labels == 1
        found += bool(on_post.any())
        if on_post.sum() > 10:
            heights = features[on_post, 1]
            assert -0.1 < float(heights.min()) < 0.5 and 1.0 < float(heights.max()) < 1.9
    assert found > 10
    without = SphereCutter([clip_with_person], 5, 0.3, 3.0, FEATURES, 10_000, replace(augmentation, pasting=0.0))
    assert sum(bool((without.cut(generator).labels == 1).any()) for _ in range(20)) < found


def test_a_pasted_object_is_thinner_farther_away_and_has_the_range_of_its_new_place(clip_with_person: Clip) -> None:
    cutter = SphereCutter(
        [clip_with_person], 5, 0.3, 3.0, FEATURES, 10_000, replace(PLAIN, pasting=1.0), objects=(2,), ground=(1,)
    )
    generator, sensor = np.random.default_rng(0), np.zeros(3, np.float32)
    source = float(np.linalg.norm([3.7, 3.7, 1.0]))
    for distance, share in ((source, 1.0), (3 * source, 1 / 9)):
        floor = Piece(np.array([[distance, 0, 0]], np.float32), *np.zeros((2, 1), np.float32), np.array([1]))
        pieces = [cutter._paste(generator, floor, sensor) for _ in range(30)]
        objects = [piece.keep(piece.labels == 2) for piece in pieces]
        counts = [len(piece.points) / round(len(piece.points) / (400 * share)) for piece in objects]
        assert np.mean(counts) == pytest.approx(400 * share, rel=0.15)
        for piece in objects:
            np.testing.assert_allclose(piece.ranges, np.linalg.norm(piece.points, axis=1), rtol=1e-5)
            np.testing.assert_allclose(piece.ranges, distance, atol=2.0)
    near = Piece(np.array([[1.0, 0, 0]], np.float32), *np.zeros((2, 1), np.float32), np.array([1]))
    assert all(len(cutter._paste(generator, near, sensor).points) == 1 for _ in range(10))


def test_without_objects_or_ground_nothing_is_pasted(clip: Clip) -> None:
    for objects, ground in (((), (1,)), ((2,), (1,))):
        cutter = SphereCutter([clip], 5, 0.3, 2.0, FEATURES, 10_000, replace(PLAIN, pasting=1.0), objects, ground)
        assert len(cutter.cut(np.random.default_rng(5)).points) > 16
        assert not cutter.objects
