# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks as files that other runtimes execute, and the inputs of such files."""
