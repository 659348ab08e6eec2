# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 messages as CDR bytes, made without ROS."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from kpconv_ros.data.bags import ODOMETRY, POINTCLOUD2, BagError
from kpconv_ros.data.pointcloud2 import PackedCloud

_SECOND = 1_000_000_000


def cloud_to_cdr(cloud: PackedCloud, stamp_ns: int, frame_id: str, is_dense: bool) -> bytes:
    """Serialise a ``sensor_msgs/PointCloud2``; ``is_dense`` promises that all its coordinates are finite."""
    make_field = _type("sensor_msgs/msg/PointField")
    message = _type(POINTCLOUD2)(
        header=_make_header(stamp_ns, frame_id),
        height=cloud.height,
        width=cloud.width,
        fields=[make_field(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count) for f in cloud.fields],
        is_bigendian=cloud.is_bigendian,
        point_step=cloud.point_step,
        row_step=cloud.row_step,
        data=cloud.data,
        is_dense=is_dense,
    )
    return bytes(_typestore().serialize_cdr(message, POINTCLOUD2))


def odometry_to_cdr(T_frame_child: NDArray[np.float64], stamp_ns: int, frame_id: str, child_frame_id: str) -> bytes:
    """Serialise a ``nav_msgs/Odometry`` of a pose, ``(4, 4)``; twist and covariances are zero: unknown."""
    qx, qy, qz, qw = (float(q) for q in Rotation.from_matrix(T_frame_child[:3, :3]).as_quat())
    x, y, z = (float(p) for p in T_frame_child[:3, 3])
    pose = _type("geometry_msgs/msg/Pose")(
        position=_type("geometry_msgs/msg/Point")(x=x, y=y, z=z),
        orientation=_type("geometry_msgs/msg/Quaternion")(x=qx, y=qy, z=qz, w=qw),
    )
    vector, unknown = _type("geometry_msgs/msg/Vector3"), np.zeros(36)
    twist = _type("geometry_msgs/msg/Twist")(linear=vector(x=0.0, y=0.0, z=0.0), angular=vector(x=0.0, y=0.0, z=0.0))
    message = _type(ODOMETRY)(
        header=_make_header(stamp_ns, frame_id),
        child_frame_id=child_frame_id,
        pose=_type("geometry_msgs/msg/PoseWithCovariance")(pose=pose, covariance=unknown),
        twist=_type("geometry_msgs/msg/TwistWithCovariance")(twist=twist, covariance=unknown),
    )
    return bytes(_typestore().serialize_cdr(message, ODOMETRY))


def message_of_cdr(cdr: bytes, msgtype: str) -> Any:
    """Decode a ROS 2 message.

    Raises:
        BagError: If its bytes do not fit its type.
    """
    try:
        return _typestore().deserialize_cdr(cdr, msgtype)
    except Exception as error:  # rosbags raises whatever its compiled readers do
        raise BagError(f"a {msgtype} is damaged: {type(error).__name__}: {error}") from error


def restamp_cdr(cdr: bytes, stamp_ns: int) -> bytes:
    """Return a serialised message that begins with a ``std_msgs/Header`` with another stamp, nanoseconds."""
    order = "<" if cdr[1] & 1 else ">"
    stamp = np.array([stamp_ns // _SECOND, stamp_ns % _SECOND], order + "u4").tobytes()
    return cdr[:4] + stamp + cdr[12:]


def stamp_of_cdr(cdr: bytes) -> int:
    """Read the stamp [ns] of a serialised message that begins with a ``std_msgs/Header``, decoding nothing else."""
    order = "<" if cdr[1] & 1 else ">"
    seconds = int(np.frombuffer(cdr, order + "i4", count=1, offset=4)[0])
    return seconds * _SECOND + int(np.frombuffer(cdr, order + "u4", count=1, offset=8)[0])


@cache
def _typestore() -> Any:
    return get_typestore(Stores.LATEST)


def _type(name: str) -> Any:
    return _typestore().types[name]


def _make_header(stamp_ns: int, frame_id: str) -> Any:
    stamp = _type("builtin_interfaces/msg/Time")(sec=stamp_ns // _SECOND, nanosec=stamp_ns % _SECOND)
    return _type("std_msgs/msg/Header")(stamp=stamp, frame_id=frame_id)
