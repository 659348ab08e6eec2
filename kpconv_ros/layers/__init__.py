# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Learnable parts of the networks: kernel points, KPConv and residual blocks."""
