# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What runs live, in a browser: Rerun draws it, a page of ours stands around it. No ROS."""
