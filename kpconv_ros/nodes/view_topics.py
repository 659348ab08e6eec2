# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics that the node ``view`` shows."""

TOPICS = {
    "points": "lidar/points",
    "labels": "segment/output/labels",
    "map": "segment/output/map",
    "received": "decode/output/map",
    "label_info": "segment/output/label_info",
    "odometry": "odom",
    "path": "register/output/path",
}
"""What is shown, by a short name, and the topic it comes from where nothing is remapped."""
