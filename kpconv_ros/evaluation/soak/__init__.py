# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hours of scans at the highest rate that holds: what grows meanwhile, and what is dropped."""
