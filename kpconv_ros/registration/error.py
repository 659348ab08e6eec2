# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of this room."""


class RegistrationError(ValueError):
    """Clouds, settings or bytes with which nothing can be registered; says what was got and expected."""
