# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of tf2_ros that the nodes use, for machines where it is not installed."""

import sys
import types

from geometry_msgs.msg import TransformStamped

from kpconv_ros.nodes.pose_msg import matrix_of_xyz_rpy, pose_of_matrix

T_PARENT_CHILD = matrix_of_xyz_rpy((5.0, 1.0, 0.0), (0.0, 0.0, 1.5707963))
LAST_STAMP = 10**10  # ns


def stand_in_for_tf2(monkeypatch, parent, child):
    """Put a tf2_ros in place that knows one transform for stamps up to 10 s; return what its broadcaster sends."""
    sent = []

    class Buffer:
        def __init__(self, cache_time):
            pass

        def can_transform(self, target, source, stamp):
            return target == source == parent or (
                (target, source) == (parent, child) and stamp.nanoseconds <= LAST_STAMP
            )

        def lookup_transform(self, target, source, stamp):
            if not self.can_transform(target, source, stamp):
                raise LookupError(f"{source} does not exist")
            pose, message = pose_of_matrix(T_PARENT_CHILD), TransformStamped()
            translation = message.transform.translation
            translation.x, translation.y, translation.z = pose.position.x, pose.position.y, pose.position.z
            message.transform.rotation = pose.orientation
            return message

    class TransformListener:
        def __init__(self, buffer, node, spin_thread):
            assert not spin_thread

        def unregister(self):
            pass

    class TransformBroadcaster:
        def __init__(self, node):
            pass

        def sendTransform(self, transform):  # noqa: N802
            sent.append(transform)

    module = types.ModuleType("tf2_ros")
    module.Buffer, module.TransformListener = Buffer, TransformListener
    module.TransformBroadcaster = TransformBroadcaster
    module.__spec__ = types.SimpleNamespace(name="tf2_ros")
    monkeypatch.setitem(sys.modules, "tf2_ros", module)
    return sent
