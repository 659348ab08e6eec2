# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training spheres: cut from the map of a clip as the live map would be, then augmented.

Thomas et al., "KPConv", ICCV 2019, arXiv:1904.08889, section 4.2: scenes are too big, so spheres are segmented.

Note:
    The paper picks spheres at random. Here the class at the centre of some is drawn evenly over the classes that occur,
    and the number of scans in the map is drawn too, because a live map holds one scan at its start and many later.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from kpconv_ros.config_io import param
from kpconv_ros.data.clips import Clip
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.mapping.features import build_features
from kpconv_ros.training.cloud_index import CloudIndex, index_clips
from kpconv_ros.training.pieces import Floats, Piece, colors_of, find_objects, join
from kpconv_ros.training.rings import elevation_limits, rings_of_points

MIN_POINTS = 16  # a sphere with fewer teaches nothing
MOST_PASTED = 3  # objects at once
OBJECT_RADIUS = 4.0  # m, what is of one class this near to a point of it is one object
MOST_LIFTED = 0.3  # m, gap below an object of which the lowest part was not seen
KEPT_SHARES = (0.3, 1.0)  # least and greatest share of points, or rings, that thinning leaves
NEAREST_PASTE = 0.7  # an object is not put nearer to the sensor than this times where it was: it would be too thin


@dataclass(frozen=True)
class AugmentationConfig:
    """How a sphere is altered in training."""

    turning: bool = param(True, "spheres are turned about the vertical and mirrored")
    scale: float = param(0.1, "each axis is scaled by 1 +- this", 0.0, 0.9)
    jitter: float = param(0.005, "noise on every coordinate, metres, standard deviation", 0.0, 1.0)
    height: float = param(0.15, "shift of the height feature, metres, standard deviation", 0.0, 5.0)
    intensity: float = param(0.2, "intensities are scaled by 1 +- this", 0.0, 1.0)
    intensity_drop: float = param(0.1, "probability that all intensities of a sphere are 0", 0.0, 1.0)
    color_drop: float = param(0.2, "probability that all colours of a sphere are 0, as in the paper", 0.0, 1.0)
    thinning: float = param(0.3, "probability that a random share of the points is left out", 0.0, 1.0)
    ring_drop: float = param(0.0, "probability that a random share of the lidar's rings is left out", 0.0, 1.0)
    rings: int = param(64, "rings of the lidar", 1, 1024)
    mixing: float = param(0.0, "probability of a second sphere over the first (Mix3D, arXiv:2110.02210)", 0.0, 1.0)
    pasting: float = param(0.0, "probability that objects of another place are put on the ground", 0.0, 1.0)
    balance: float = param(1.0, "probability that the centre is drawn evenly by class, else by point", 0.0, 1.0)


class Sphere(NamedTuple):
    """Voxels of one training sphere."""

    points: torch.Tensor
    """Relative to the centre, ``(M, 3)``, metres."""
    features: torch.Tensor
    """``(M, F)``."""
    labels: torch.Tensor
    """``(M,)`` int64, class index without the unlabelled one; -1 does not count."""


class SphereCutter:
    """Cuts random spheres from clips."""

    def __init__(
        self,
        clips: list[Clip],
        num_classes: int,
        voxel_size: float,
        radius: float,
        features: tuple[str, ...],
        max_points: int,
        augmentation: AugmentationConfig,
        objects: tuple[int, ...] = (),
        ground: tuple[int, ...] = (),
    ) -> None:
        """Index the clips.

        Args:
            clips: Where spheres come from.
            num_classes: C, without the unlabelled one.
            voxel_size: Metres.
            radius: Metres.
            features: Names as in the model's manifest.
            max_points: Most voxels of a sphere; the nearest to its centre stay.
            augmentation: How spheres are altered.
            objects: Labels of the classes that are pasted.
            ground: Labels of the classes on which they are put.
        """
        self.clips, self.num_classes, self.voxel_size, self.radius = clips, num_classes, voxel_size, radius
        self.features, self.max_points, self.augmentation = features, max_points, augmentation
        counts = [[np.bincount(labels, minlength=num_classes + 1) for labels in clip.labels] for clip in clips]
        self.counts = [np.stack(scans) for scans in counts]  # (S, C + 1) of each clip
        self._counts_of_clip = np.array([scans.sum(0) for scans in self.counts]).reshape(len(clips), num_classes + 1)
        self._indices = index_clips(clips, radius)
        self.ground = ground
        self.objects = find_objects(clips, objects) if augmentation.pasting > 0 else []
        self.limits = [
            [elevation_limits(points, sensor) for points, sensor in zip(clip.points, clip.sensors, strict=True)]
            for clip in (clips if augmentation.ring_drop > 0 else [])
        ]  # of the elevation in each scan of each clip

    def class_counts(self) -> NDArray[np.int64]:
        """Return the points of each class over all clips, ``(C,)``."""
        return np.asarray(self._counts_of_clip.sum(0))[1:]

    def cut(self, generator: Generator) -> Sphere:
        """Draw a map of some scans of a clip and a sphere in it; then, at times, mix it with another; then alter it."""
        piece, ground = self._cut_piece(generator)
        if generator.random() < self.augmentation.mixing:
            other, other_ground = self._cut_piece(generator)
            lift = np.array([0, 0, other_ground - ground], np.float32)  # both grounds at one height
            piece = join([piece, other._replace(points=other.points + lift)])
        return self._finish(generator, piece, ground)

    def _cut_piece(self, generator: Generator) -> tuple[Piece, np.float32]:
        """Return the points of a sphere and its centre's height above ground."""
        while True:
            clip_index, last, row = self._draw_center(generator)
            clip = self.clips[clip_index]
            center = clip.points[last][row].copy()
            center[:2] += generator.normal(0, self.radius / 6, 2)
            piece = self._gather(generator, clip_index, int(generator.integers(0, last + 1)), last, center)
            if generator.random() < self.augmentation.pasting:
                piece = self._paste(generator, piece, (clip.sensors[last] - center).astype(np.float32))
            piece = self._thin(generator, piece)
            if len(piece.points) >= MIN_POINTS:
                return piece, np.float32(center[2] - clip.ground_z[last])

    def _draw_center(self, generator: Generator) -> tuple[int, int, int]:
        """Draw a clip, the last scan of its map and a labelled point of that scan."""
        if generator.random() < self.augmentation.balance:
            label = int(generator.choice(np.flatnonzero(self.class_counts()) + 1))
            clip = int(generator.choice(np.flatnonzero(self._counts_of_clip[:, label])))
            last = int(generator.choice(np.flatnonzero(self.counts[clip][:, label])))
            return clip, last, self._draw_row(generator, clip, last, label)
        clip = int(generator.choice(np.flatnonzero(self._counts_of_clip[:, 1:].any(axis=1))))
        last = int(generator.choice(np.flatnonzero(self.counts[clip][:, 1:].any(axis=1))))
        return clip, last, self._draw_row(generator, clip, last, None)

    def _draw_row(self, generator: Generator, clip: int, scan: int, label: int | None) -> int:
        """Draw a point of a label, or of any but 0 if it is None."""
        index, labels = self._indices[clip][scan], self.clips[clip].labels[scan]
        if index is not None:
            return index.draw_row(generator, label)
        return int(generator.choice(np.flatnonzero(labels if label is None else labels == label)))

    def _gather(self, generator: Generator, clip_index: int, first: int, last: int, center: Floats) -> Piece:
        """Return the points of some scans around ``center`` (3,), at times without a share of the lidar's rings."""
        clip, config, kept = self.clips[clip_index], self.augmentation, None
        if config.ring_drop > 0 and generator.random() < config.ring_drop:
            kept = generator.random(config.rings) < generator.uniform(*KEPT_SHARES)
        indices, reach = self._indices[clip_index], np.float32(self.radius * 1.05)
        pieces = []
        for scan in range(first, last + 1):
            near, points = _find_near(clip.points[scan], indices[scan], center, reach)
            if kept is not None:
                seen, limits = clip.sensors[scan].astype(np.float32), self.limits[clip_index][scan]
                rows = kept[rings_of_points(clip.points[scan][near], seen, limits, config.rings)]
                near, points = near[rows], points[rows]
            ranges = np.linalg.norm(points - (clip.sensors[scan] - center).astype(np.float32), axis=1)
            labels = clip.labels[scan][near].astype(np.int64)
            pieces.append(Piece(points, clip.intensities[scan][near], ranges, labels, colors_of(clip, scan, near)))
        return join(pieces)

    def _paste(self, generator: Generator, piece: Piece, sensor: Floats) -> Piece:
        """Put up to three objects, turned, on the ground of a piece that is seen from ``sensor`` (3,)."""
        places = np.flatnonzero(np.isin(piece.labels, self.ground))
        pieces = [piece]
        for _ in range(int(generator.integers(1, MOST_PASTED + 1)) if len(places) and self.objects else 0):
            put = self._draw_object(generator)
            place = piece.points[generator.choice(places)]
            share = float(put.ranges.mean() / max(np.linalg.norm(place - sensor), 1e-3))
            if share * NEAREST_PASTE > 1:
                continue
            put = put.keep(generator.random(len(put.points)) < share * share)  # a lidar's density falls with range
            angle = generator.uniform(0, 2 * np.pi)
            turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
            points = (put.points @ turn + place).astype(np.float32)
            pieces.append(put._replace(points=points, ranges=np.linalg.norm(points - sensor, axis=1)))
        return join(pieces)

    def _draw_object(self, generator: Generator) -> Piece:
        """Draw an object, the classes as often; its points are relative to the ground under its middle."""
        labels = sorted({label for label, _ in self.objects})
        label = labels[generator.integers(len(labels))]
        kept = [scans for its, scans in self.objects if its == label]
        scans = kept[generator.integers(len(kept))]
        last = int(generator.integers(len(scans)))
        piece, ground_z = scans[last]
        seed = piece.points[generator.integers(len(piece.points))]
        pieces = [part for part, _ in scans[int(generator.integers(0, last + 1)) : last + 1]]
        near = join(pieces)
        near = near.keep(np.linalg.norm(near.points[:, :2] - seed[:2], axis=1) < OBJECT_RADIUS)
        lowest = near.points[:, 2].min()
        foot = lowest - np.clip(lowest - ground_z, 0, MOST_LIFTED)
        middle = (near.points[:, :2].min(0) + near.points[:, :2].max(0)) / 2
        return near.at(np.array([*middle, foot], np.float32))

    def _thin(self, generator: Generator, piece: Piece) -> Piece:
        if generator.random() >= self.augmentation.thinning:
            return piece
        kept = generator.random(len(piece.points)) < generator.uniform(*KEPT_SHARES)
        return piece.keep(kept)

    def _finish(self, generator: Generator, piece: Piece, ground: np.float32) -> Sphere:
        """Turn, scale and flip the points, lay them on the grid and make the features."""
        config = self.augmentation
        angle = generator.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        turn = turn @ np.diag([generator.choice([-1.0, 1.0]), 1.0, 1.0])
        turn = turn if config.turning else np.eye(3)
        scale = generator.uniform(1 - config.scale, 1 + config.scale, 3)
        moved = piece.points @ (turn.T * scale) + generator.normal(0, config.jitter, piece.points.shape)
        shift = generator.uniform(0, self.voxel_size, 3)  # the grid's corner
        tensor = torch.from_numpy((moved + shift).astype(np.float32))
        gain = generator.uniform(1 - config.intensity, 1 + config.intensity)
        gain *= generator.random() >= config.intensity_drop
        stretched = piece.ranges * np.sqrt(scale[0] * scale[1])
        columns = [np.clip(piece.intensity * gain, 0, 1), stretched]
        if piece.colors is not None:
            columns += list(piece.colors.T * np.float32(generator.random() >= config.color_drop))
        carried = np.stack(columns, axis=1).astype(np.float32)
        lengths, labels = torch.tensor([len(tensor)]), torch.from_numpy(piece.labels)
        voxels = grid_subsample(tensor, lengths, self.voxel_size, torch.from_numpy(carried), labels)
        assert voxels.features is not None and voxels.labels is not None
        near = _nearest_rows(voxels.points.numpy() - shift, self.max_points)
        local = voxels.points.numpy()[near] - shift.astype(np.float32)
        height = local[:, 2] + ground * np.float32(scale[2]) + np.float32(generator.normal(0, config.height))
        intensity, ranges, *channels = voxels.features.numpy()[near].T
        colors = np.stack(channels, axis=1) if channels else None
        features = build_features(self.features, height, intensity, ranges, colors)
        return Sphere(torch.from_numpy(local), torch.from_numpy(features), voxels.labels[near] - 1)


def _find_near(
    points: Floats, index: CloudIndex | None, center: Floats, reach: np.float32
) -> tuple[NDArray[np.integer], Floats]:
    """Return the rows of the points within ``reach`` of a place, in order, and where they are from there."""
    rows = None if index is None else index.rows_near(center, float(reach))
    offsets = (points if rows is None else points[rows]) - center
    near = np.flatnonzero(np.einsum("ij,ij->i", offsets, offsets) <= reach * reach)
    return (near if rows is None else rows[near]), offsets[near]


def _nearest_rows(points: NDArray[np.floating], most: int) -> NDArray[np.int64]:
    """Return the rows of the ``most`` points nearest to the origin, in their order."""
    if len(points) <= most:
        return np.arange(len(points))
    distances = np.einsum("ij,ij->i", points, points)
    return np.sort(np.argpartition(distances, most)[:most])
