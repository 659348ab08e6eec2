# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 nodes: the only room that imports rclpy, message packages or tf2."""
