# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SemanticKITTI: its 19 classes and the reading of a KITTI-layout folder.

Behley et al., "SemanticKITTI: A Dataset for Semantic Scene Understanding of LiDAR Sequences", ICCV 2019,
arXiv:1904.01416. The class map and the colours are those of the authors' ``semantic-kitti.yaml``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.text_tables import read_table

KITTI_CLASSES: tuple[str, ...] = (
    "unlabeled",
    "car",
    "bicycle",
    "motorcycle",
    "truck",
    "other-vehicle",
    "person",
    "bicyclist",
    "motorcyclist",
    "road",
    "parking",
    "sidewalk",
    "other-ground",
    "building",
    "fence",
    "vegetation",
    "trunk",
    "terrain",
    "pole",
    "traffic-sign",
)

KITTI_COLORS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (100, 150, 245),
    (100, 230, 245),
    (30, 60, 150),
    (80, 30, 180),
    (0, 0, 255),
    (255, 30, 30),
    (255, 40, 200),
    (150, 30, 90),
    (255, 0, 255),
    (255, 150, 255),
    (75, 0, 75),
    (175, 0, 75),
    (255, 200, 0),
    (255, 120, 50),
    (0, 175, 0),
    (135, 60, 0),
    (150, 240, 80),
    (255, 240, 150),
    (255, 0, 0),
)
"""Red, green, blue of each class (the authors' file stores blue, green, red)."""

LEARNING_MAP: dict[int, int] = {
    0: 0,  # unlabeled
    1: 0,  # outlier
    10: 1,  # car
    11: 2,  # bicycle
    13: 5,  # bus
    15: 3,  # motorcycle
    16: 5,  # on-rails
    18: 4,  # truck
    20: 5,  # other-vehicle
    30: 6,  # person
    31: 7,  # bicyclist
    32: 8,  # motorcyclist
    40: 9,  # road
    44: 10,  # parking
    48: 11,  # sidewalk
    49: 12,  # other-ground
    50: 13,  # building
    51: 14,  # fence
    52: 0,  # other-structure
    60: 9,  # lane-marking
    70: 15,  # vegetation
    71: 16,  # trunk
    72: 17,  # terrain
    80: 18,  # pole
    81: 19,  # traffic-sign
    99: 0,  # other-object
    252: 1,  # moving-car
    253: 7,  # moving-bicyclist
    254: 6,  # moving-person
    255: 8,  # moving-motorcyclist
    256: 5,  # moving-on-rails
    257: 5,  # moving-bus
    258: 4,  # moving-truck
    259: 5,  # moving-other-vehicle
}
"""Raw class id of a ``.label`` file -> class index (0 is ignored)."""

LEARNING_MAP_INVERSE: dict[int, int] = {
    0: 0, 1: 10, 2: 11, 3: 15, 4: 18, 5: 20, 6: 30, 7: 31, 8: 32, 9: 40, 10: 44, 11: 48, 12: 49, 13: 50, 14: 51,
    15: 70, 16: 71, 17: 72, 18: 80, 19: 81,
}  # fmt: skip
"""Class index -> raw class id, as the benchmark server expects it."""

_UNKNOWN = 255
_SCAN_PERIOD = 0.1  # [s] the Velodyne of KITTI turns at 10 Hz


class KittiError(ValueError):
    """A KITTI-layout folder or file is not as it should be."""


@dataclass(frozen=True)
class PosedScan:
    """One scan of a sequence."""

    points: NDArray[np.float32]
    """Positions in the lidar frame, ``(N, 3)``, metres."""
    intensity: NDArray[np.float32]
    """Remission, ``(N,)``, 0 to 1."""
    labels: NDArray[np.uint8] | None
    """Class indices, ``(N,)``, or None without a ``.label`` file."""
    T_map_sensor: NDArray[np.float64] | None
    """Lidar pose in the lidar frame of the sequence's origin, ``(4, 4)``, or None without ``poses.txt``."""
    stamp: float
    """Seconds since the start of the sequence."""


def map_labels(raw: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Map raw SemanticKITTI labels to class indices.

    Args:
        raw: Raw labels, ``(N,)`` uint32: class id in the low 16 bits, instance in the high 16.

    Returns:
        Class indices, ``(N,)`` uint8, 0 to 19.

    Raises:
        KittiError: If a class id is not one of SemanticKITTI's 34.
    """
    table = np.full(1 << 16, _UNKNOWN, dtype=np.uint8)
    table[list(LEARNING_MAP)] = list(LEARNING_MAP.values())
    ids = raw & np.uint32(0xFFFF)
    labels: NDArray[np.uint8] = table[ids]
    if (labels == _UNKNOWN).any():
        unknown = sorted({int(i) for i in ids[labels == _UNKNOWN]})
        raise KittiError(f"raw class ids {unknown[:5]} are not SemanticKITTI's; expected ids of {sorted(LEARNING_MAP)}")
    return labels


def unmap_labels(labels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Map class indices back to raw ids, ``(N,)`` uint32, as a ``.label`` file holds them."""
    table = np.array([LEARNING_MAP_INVERSE[label] for label in range(len(KITTI_CLASSES))], dtype=np.uint32)
    if len(labels) and int(labels.max()) >= len(table):
        raise KittiError(f"got label {int(labels.max())}, expected 0 to {len(table) - 1}")
    return table[labels]


def read_velodyne(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read a KITTI ``.bin`` file.

    Returns:
        Positions ``(N, 3)`` and remission ``(N,)``.

    Raises:
        KittiError: If the file is absent or is not whole rows of four float32.
    """
    size = _size_of(path)
    if size % 16:
        raise KittiError(f"{path}: got {size} bytes, expected a multiple of 16 (float32 x, y, z, remission)")
    rows = np.fromfile(path, dtype="<f4").reshape(-1, 4)
    return np.ascontiguousarray(rows[:, :3]), np.ascontiguousarray(rows[:, 3])


def read_labels(path: Path, num_points: int) -> NDArray[np.uint8]:
    """Read a ``.label`` file as class indices, ``(num_points,)`` uint8."""
    size = _size_of(path)
    if size != 4 * num_points:
        raise KittiError(f"{path}: got {size} bytes, expected {4 * num_points} (uint32, {num_points} points)")
    return map_labels(np.fromfile(path, dtype="<u4"))


class KittiSequence:
    """A sequence of posed scans in the KITTI odometry layout.

    Scans are the files of ``velodyne/`` in the order of their names. ``labels/``, ``poses.txt`` (with ``calib.txt``)
    and ``times.txt`` are optional; scan number ``NNNNNN`` owns line ``NNNNNN`` of the latter two.
    """

    def __init__(self, root: str | Path, sequence: str | None = None) -> None:
        """Open ``root/sequences/SEQUENCE`` or ``root/SEQUENCE``, or ``root`` itself when ``sequence`` is None.

        Raises:
            KittiError: If there are no scans, or poses, times and calibration do not fit them.
        """
        self.folder = _find_folder(Path(root), sequence)
        self.files = sorted((self.folder / "velodyne").glob("*.bin"))
        if not self.files:
            raise KittiError(f"{self.folder / 'velodyne'}: got no *.bin file, expected a KITTI-layout sequence")
        self._rows = [_row_of(path) for path in self.files]
        self.poses = self._read_poses()
        self.stamps = self._read_stamps()

    def __len__(self) -> int:
        """Return the number of scans."""
        return len(self.files)

    @property
    def has_labels(self) -> bool:
        """Whether the sequence has a ``labels`` folder."""
        return (self.folder / "labels").is_dir()

    def scan(self, index: int) -> PosedScan:
        """Read scan ``index`` (0 to ``len - 1``).

        Raises:
            IndexError: If there is no such scan.
            KittiError: If a file is damaged or misses.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"got scan {index}, expected 0 to {len(self) - 1} in {self.folder}")
        path = self.files[index]
        points, intensity = read_velodyne(path)
        labels = None
        if self.has_labels:
            labels = read_labels(self.folder / "labels" / f"{path.stem}.label", len(points))
        pose = None if self.poses is None else self.poses[index]
        return PosedScan(points, intensity, labels, pose, float(self.stamps[index]))

    def _read_poses(self) -> NDArray[np.float64] | None:
        """Lidar poses, ``(len, 4, 4)``: inv(Tr) P Tr, with the camera poses P of ``poses.txt``."""
        path = self.folder / "poses.txt"
        if not path.exists():
            return None
        cameras = self._pick_rows(read_table(path, 12, KittiError), path)
        T_camera_lidar = read_calibration(self.folder / "calib.txt")
        T_map_camera = np.tile(np.eye(4), (len(cameras), 1, 1))
        T_map_camera[:, :3, :] = cameras.reshape(-1, 3, 4)
        poses: NDArray[np.float64] = np.linalg.inv(T_camera_lidar) @ T_map_camera @ T_camera_lidar
        return poses

    def _read_stamps(self) -> NDArray[np.float64]:
        path = self.folder / "times.txt"
        if not path.exists():
            return np.array(self._rows, dtype=np.float64) * _SCAN_PERIOD
        return self._pick_rows(read_table(path, 1, KittiError), path)[:, 0]

    def _pick_rows(self, table: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
        if max(self._rows) >= len(table):
            raise KittiError(f"{path}: got {len(table)} lines, expected {max(self._rows) + 1}: {self.files[-1].name}")
        return table[self._rows]


def read_calibration(path: Path) -> NDArray[np.float64]:
    """Read ``Tr`` of a KITTI ``calib.txt``: T_camera_lidar, ``(4, 4)``."""
    _size_of(path)
    for line in path.read_text().splitlines():
        key, _, numbers = line.partition(":")
        values = numbers.split()
        if key.strip() in ("Tr", "Tr_velo_to_cam") and len(values) == 12:
            T_camera_lidar = np.eye(4)
            T_camera_lidar[:3] = np.array(values, dtype=np.float64).reshape(3, 4)
            return T_camera_lidar
    raise KittiError(f"{path}: expected a line 'Tr:' with 12 numbers, got none")


def _find_folder(root: Path, sequence: str | None) -> Path:
    if sequence is None:
        return root
    folders = [root / "sequences" / sequence, root / sequence]
    for folder in folders:
        if folder.is_dir():
            return folder
    raise KittiError(f"no sequence {sequence!r}: expected the folder {folders[0]} or {folders[1]}")


def _row_of(path: Path) -> int:
    if not path.stem.isdigit():
        raise KittiError(f"{path}: got the name {path.name!r}, expected digits such as 000012.bin")
    return int(path.stem)


def _size_of(path: Path) -> int:
    if not path.is_file():
        raise KittiError(f"{path}: no such file")
    return path.stat().st_size
