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
    with pytest.raises(FeatureError, match=f"expected some of one, height, intensity, range, {told}"):
        build_features(names, np.zeros(1), np.zeros(1), np.zeros(1))
