# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects that the package makes: triangle meshes of everyday things, each drawn from a few random measures."""
