# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements against other libraries and against the dense layers, as ratios within one run."""
