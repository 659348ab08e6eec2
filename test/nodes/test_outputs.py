# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which classes stay in the filtered cloud."""

import pytest

pytest.importorskip("rclpy")
from kpconv_ros.config_io import ConfigError  # noqa: E402
from kpconv_ros.nodes.outputs import kept_labels  # noqa: E402

CLASSES = ("unlabeled", "road", "car", "person")


@pytest.mark.parametrize(
    ("kept", "removed", "stays"),
    [
        ((), (), [0, 1, 2, 3]),
        (("road",), (), [1]),
        ((), ("car", "unlabeled"), [1, 3]),
        (("road", "car"), (), [1, 2]),
    ],
)
def test_kept_and_removed_classes(kept, removed, stays):
    assert kept_labels(CLASSES, kept, removed).nonzero()[0].tolist() == stays


def test_a_class_the_model_does_not_know_is_named():
    with pytest.raises(ConfigError, match="tree"):
        kept_labels(CLASSES, (), ("tree",))
