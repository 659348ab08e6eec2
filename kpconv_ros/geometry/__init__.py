# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Geometry of point clouds: true of points whatever is learned. Pure functions on tensors, no parameters."""
