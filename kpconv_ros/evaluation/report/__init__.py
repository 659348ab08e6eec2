# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports of evaluated recordings: JSON with a schema, a page for people, and their comparison."""
