# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registration of scans: samplers, solvers, local maps. No ROS, no learned parts."""
