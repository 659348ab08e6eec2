# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of a damaged bag, and what is found before the damage."""

from __future__ import annotations

from typing import NamedTuple


class DamageError(ValueError):
    """The place where a bag cannot be read any further."""


class SalvagedConnection(NamedTuple):
    """A topic and the type of its messages."""

    topic: str
    msgtype: str


Found = tuple[SalvagedConnection, int, bytes]
"""Connection, stamp in nanoseconds, serialised message."""
