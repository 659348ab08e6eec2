# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes: tiles of a map as short payloads, and the packets that carry them over a thin link."""
