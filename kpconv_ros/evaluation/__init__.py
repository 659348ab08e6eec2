# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation: metrics, pictures, and scoring of live runs by what the nodes really published."""
