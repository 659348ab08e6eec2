# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training loops: the only room that knows epochs, optimisers and learning rates."""
