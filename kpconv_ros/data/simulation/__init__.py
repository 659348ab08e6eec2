# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A procedural street and a spinning lidar that looks at it; :mod:`kpconv_ros.data.simulator` puts them together."""
