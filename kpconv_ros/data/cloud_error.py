# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of everything that reads or writes cloud files."""


class CloudError(ValueError):
    """A cloud file is absent, damaged or of an unknown kind."""
