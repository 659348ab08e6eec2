# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live segmentation, registration and map transmission of lidar scans with kernel point convolutions."""

from pkgutil import extend_path

# The generated messages are in the install space; a source tree that comes first on the path still has to find them.
__path__ = extend_path(__path__, __name__)
