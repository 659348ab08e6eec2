# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of this room."""


class ViewError(RuntimeError):
    """The live view cannot be served, or something cannot be drawn in it."""
