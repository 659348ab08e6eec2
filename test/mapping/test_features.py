# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Input features by name."""

from __future__ import annotations

import numpy as np
import pytest

from kpconv_ros.mapping.features import FeatureError, build_features


def test_features_come_in_the_order_of_their_names() -> None:
    height, intensity, ranges = np.array([2.0, 3.0]), np.array([0.25, 0.5]), np.array([0.0, np.e - 1])
    features = build_features(("height", "one", "range", "intensity"), height, intensity, ranges)
    np.testing.assert_allclose(features, [[2, 1, 0, 0.25], [3, 1, 1, 0.5]], atol=1e-7)
    assert features.dtype == np.float32


@pytest.mark.parametrize(("names", "told"), [(("one", "rgb"), "got one, rgb"), ((), "got none")])
def test_an_unknown_feature_is_named(names: tuple[str, ...], told: str) -> None:
    with pytest.raises(FeatureError, match=f"expected some of one, height, intensity, range, red, green, blue, {told}"):
        build_features(names, np.zeros(1), np.zeros(1), np.zeros(1))


def test_colours_are_columns_by_name_and_refused_where_points_have_none() -> None:
    nothing, colors = np.zeros(2), np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    features = build_features(("blue", "one", "red"), nothing, nothing, nothing, colors)
    np.testing.assert_allclose(features, [[0.3, 1, 0.1], [0.6, 1, 0.4]], atol=1e-7)
    with pytest.raises(FeatureError, match="got one, green, but these points have no colour"):
        build_features(("one", "green"), nothing, nothing, nothing)
