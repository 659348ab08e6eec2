# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of this room."""


class CodecError(ValueError):
    """Bytes that are no packet or payload, or a tile that cannot be encoded; says what was got and expected."""
