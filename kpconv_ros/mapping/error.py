# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of this room."""


class MappingError(ValueError):
    """Something that the map cannot take; the message says what was expected and what came."""
