# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Triton kernels for CUDA devices of what ``geometry`` and ``layers`` define; torch and Triton are all that they need.

None of them waits for the device: sizes of outputs come from bounds, counts stay on the device. ``kernels.choice``
tells where they are used.
"""
