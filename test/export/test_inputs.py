# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs of exported networks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kpconv_ros.export.description import Description, ExportError
from kpconv_ros.export.inputs import cut_sphere, prepare_inputs

POINTS = [[0.05, 0.05, 0.05], [0.15, 0.05, 0.05], [0.45, 0.05, 0.05]]
DESCRIPTION = Description(
    *("a name", "KPFCNN", 2, 1, 0.1, (0.25, 0.5), (0.25,), (), "ab12"),
    features=("one", "height", "intensity", "range"), sphere_radius=1.0, intensity_scale=255.0,
)  # fmt: skip


def test_the_inputs_of_three_points_are_those_found_by_hand() -> None:
    inputs = prepare_inputs(DESCRIPTION, POINTS, [[1], [2], [3]])
    assert list(inputs) == [
        *("features", "points_0", "neighbors_0", "points_1", "neighbors_1", "pooling_0", "upsampling_0")
    ]
    # cells of 0.2 m: the first two points share one, whose middle the third is farther than 0.25 m from
    np.testing.assert_allclose(inputs["points_1"], [[0.1, 0.05, 0.05], [0.45, 0.05, 0.05]], atol=1e-6)
    assert [sorted(row) for row in inputs["neighbors_0"].tolist()] == [[0, 1], [0, 1], [2, 3]]  # 3: shadow
    assert [sorted(row) for row in inputs["neighbors_1"].tolist()] == [[0, 1], [0, 1]]
    assert [sorted(row) for row in inputs["pooling_0"].tolist()] == [[0, 1], [2, 3]]
    assert inputs["upsampling_0"].tolist() == [0, 0, 1]
    assert {str(array.dtype) for array in inputs.values()} == {"float32", "int64"}


def test_no_neighbour_is_in_another_cloud() -> None:
    inputs = prepare_inputs(replace(DESCRIPTION, network="KPCNN"), 2 * POINTS, np.ones((6, 1)), [3, 3])
    assert inputs["lengths"].tolist() == [2, 2] and "upsampling_0" not in inputs
    np.testing.assert_allclose(inputs["points_1"][:2], inputs["points_1"][2:])
    assert [sorted(row) for row in inputs["neighbors_0"].tolist()[3:]] == [[3, 4], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (([[0.0, 1.0]], [[1]]), r"points: expected finite ones, shape \(N, 3\), got shape \(1, 2\)"),
        (([[0.0, 1.0, np.nan]], [[1]]), "points: expected finite ones"),
        ((POINTS, [[1], [1]]), r"features: expected shape \(3, 1\), got \(2, 1\)"),
        ((POINTS, np.ones((3, 2))), r"features: expected shape \(3, 1\), got \(3, 2\)"),
        ((POINTS, np.ones((3, 1)), [1, 1]), r"lengths: .* 3 in all, got \[1, 1\]"),
        ((POINTS, np.ones((3, 1)), [3, 0]), r"lengths: expected clouds of one point or more"),
        ((np.zeros((0, 3)), np.zeros((0, 1))), r"lengths: expected clouds of one point or more, 0 in all, got \[0\]"),
    ],
)
def test_input_that_does_not_fit_is_refused(arguments: tuple[Any, ...], told: str) -> None:
    with pytest.raises(ExportError, match=told):
        prepare_inputs(DESCRIPTION, *arguments)


def test_a_sphere_has_the_voxels_and_features_found_by_hand() -> None:
    points = [[2.02, 0, 1], [2.04, 0, 1], [2.5, 0, 1], [5, 0, 1]]
    found = cut_sphere(DESCRIPTION, points, [51, 102, 500, 0], [2, 0, 1], ground_z=-0.5, sensor=[0, 0, 1])
    np.testing.assert_allclose(found.points, [[0.03, 0, 0], [0.5, 0, 0]], atol=1e-6)
    expected = [[1, 1.5, 0.3, np.log1p(2.03)], [1, 1.5, 1.0, np.log1p(2.5)]]
    np.testing.assert_allclose(found.features, expected, atol=1e-5)
    assert found.voxel_of_point.tolist() == [0, 0, 1, -1]
    assert cut_sphere(DESCRIPTION, points, None, [50, 0, 0], 0.0).points.shape == (0, 3)


def test_a_sphere_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ExportError, match=r"points: expected shape \(N, 3\), got \(2,\)"):
        cut_sphere(DESCRIPTION, [1, 2], None, [0, 0, 0], 0.0)
    with pytest.raises(ExportError, match=r"intensity: expected shape \(3,\), got \(1,\)"):
        cut_sphere(DESCRIPTION, POINTS, [1], [0, 0, 0], 0.0)
    with pytest.raises(ExportError, match="expected known features"):
        cut_sphere(replace(DESCRIPTION, features=()), POINTS, None, [0, 0, 0], 0.0)
