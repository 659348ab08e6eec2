# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays in, results out: what nodes, command line and notebooks call. No ROS."""
