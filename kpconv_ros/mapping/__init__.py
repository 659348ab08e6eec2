# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""State over time: the rolling voxel map and incremental sphere voting. No ROS."""
