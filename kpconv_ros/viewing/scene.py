# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is drawn, as entities of Rerun: one for each class of each cloud, so that a class can be hidden.

Everything below ``world`` is in one fixed frame. Only one thread may draw.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from kpconv_ros.data.class_colors import spread_colors
from kpconv_ros.viewing.config import ViewConfig
from kpconv_ros.viewing.error import ViewError

TIMELINE = "time"  # when it was drawn: stamps of a recording lie in the past, and jump
SIZES = {"scan": 3.0, "map": 1.5, "received": 1.5}  # of a point, by layer [pixels]
WAY_COLOR, PATH_COLOR = (255, 255, 255), (255, 160, 0)
UNLABELLED_COLOR = (130, 130, 130)  # black, as in the tables of the datasets, is not seen on black
BACKGROUND = (13, 16, 17)
MIN_STEP, MAX_STEP = 0.2, 50.0  # m between two places of the way; a longer one is a new way
SENSOR_AXES = 2.0  # m
EYE = (-25.0, -12.0, 20.0)  # m from the sensor, at first
PLOTTED = 60.0  # s
CLOSE_PATIENCE = 5.0  # s
NO_LABEL = -1  # clouds without labels
ALONE, WHOLE, POSED = range(3)  # who says what the fixed frame is: a scan without a pose, a map, a scan with one


class ClassEntry(NamedTuple):
    """One line of the legend."""

    label: int
    name: str
    color: tuple[int, int, int]
    hidden: bool
    num_points: int
    """Drawn now, in all layers; those of a hidden class are counted too."""


class Scene:
    """Draws into a recording of Rerun that a browser follows."""

    def __init__(self, config: ViewConfig) -> None:
        """Begin to serve what will be drawn, and to save it if that is asked for.

        Raises:
            ViewError: If the file cannot be written.
        """
        self._config = config
        self._recording = rr.RecordingStream("kpconv_ros")
        self._recording.set_sinks(*_sinks(config))
        self._recording.send_blueprint(_blueprint())
        self._recording.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        self._recording.log("world/sensor", rr.TransformAxes3D(SENSOR_AXES), static=True)
        self.frame = ""
        self._rank = ALONE
        self._names: dict[int, str] = {}
        self._colors: dict[int, tuple[int, int, int]] = {}
        self._hidden: set[int] = set()
        self._drawn: dict[str, dict[int, NDArray[np.float32]]] = {layer: {} for layer in SIZES}
        self._way: deque[NDArray[np.float64]] = deque(maxlen=config.path_points)
        self._seen: dict[tuple[str, ...], rr.AsComponents] = {}  # what there is to see now, by entity; not the curves

    def close(self) -> None:
        """Write what waits, unless a browser is too slow to take it, and end."""
        with contextlib.suppress(RuntimeError, TimeoutError):
            self._recording.flush(timeout_sec=CLOSE_PATIENCE)
        self._recording.disconnect()

    def redraw(self) -> None:
        """Draw again what there is to see, for a browser that comes: what is kept for it may not reach so far back."""
        self._tell_time()
        for entity, drawn in self._seen.items():
            self._recording.log(list(entity), drawn)

    def set_classes(self, names: Mapping[int, str], colors: Mapping[int, tuple[int, int, int]]) -> None:
        """Say what labels mean, also of what is drawn already; colours are red, green, blue, 0-255."""
        if (self._names, self._colors) == (names, colors):
            return
        self._tell_time()
        for layer, parts in self._drawn.items():
            for label in parts:
                self._clear(*self._entity(layer, label))
        self._names, self._colors = dict(names), dict(colors)
        for layer, parts in self._drawn.items():
            for label, part in parts.items():
                self._log_part(layer, label, part)

    def classes(self) -> list[ClassEntry]:
        """The legend: every class that is drawn or hidden, by label."""
        drawn = {label for layer in list(self._drawn.values()) for label in list(layer)}
        return [
            ClassEntry(label, self._name(label), self._color(label), label in self._hidden, self._count(label))
            for label in sorted(drawn | self._hidden)
        ]

    def set_hidden(self, label: int, hidden: bool) -> None:
        """Hide a class in every layer, or show it again."""
        (self._hidden.add if hidden else self._hidden.discard)(label)
        self._tell_time()
        for layer, parts in self._drawn.items():
            if label in parts:
                self._log_part(layer, label, parts[label])

    def draw_scan(
        self,
        points: NDArray[np.float32],
        labels: NDArray[np.uint8] | None,
        T_map_sensor: NDArray[np.float64] | None,
        frame: str,
    ) -> None:
        """Draw a scan.

        Args:
            points: In the sensor's frame, ``(N, 3)``, metres; what is not finite is left out.
            labels: ``(N,)``; None for a scan without labels.
            T_map_sensor: Where the sensor is, ``(4, 4)``; None when that is not known, and the scan stands alone.
            frame: Fixed frame of that pose; the scan's own where there is none.

        Raises:
            ViewError: If a pose is missing that would lay it on what is drawn.
        """
        self._tell_time()
        self._enter(frame, ALONE if T_map_sensor is None else POSED)
        pose = np.eye(4) if T_map_sensor is None else T_map_sensor
        for entity in ("scan", "sensor"):
            self._log(rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]), "world", entity)
        self._draw_cloud("scan", points, labels, self._config.scan_points)
        if T_map_sensor is not None:
            self._go_to(pose[:3, 3].copy())

    def draw_map(self, layer: str, points: NDArray[np.float32], labels: NDArray[np.uint8] | None, frame: str) -> None:
        """Draw a cloud that is in the fixed frame: ``layer`` is "map" or "received"; else as `draw_scan`.

        Raises:
            ViewError: If it is in another frame than what is drawn already.
        """
        self._tell_time()
        self._enter(frame, WHOLE)
        self._draw_cloud(layer, points, labels, self._config.map_points)

    def draw_path(self, positions: NDArray[np.float64], frame: str) -> None:
        """Draw a trajectory, ``(N, 3)``, metres, in place of the last.

        Raises:
            ViewError: If it is in another frame than what is drawn already.
        """
        self._tell_time()
        self._enter(frame, WHOLE)
        self._draw_line("path", positions[-self._config.path_points :], PATH_COLOR)

    def draw_number(self, entity: str, value: float) -> None:
        """Go on with a curve; ``entity`` is such as "latency/segment/total"."""
        self._tell_time()
        self._recording.log(entity, rr.Scalars(value))

    def draw_text(self, text: str) -> None:
        """Show a text (Markdown) in place of the last."""
        self._tell_time()
        self._log(rr.TextDocument(text, media_type=rr.MediaType.MARKDOWN), "diagnostics")

    def _tell_time(self) -> None:
        self._recording.set_time(TIMELINE, timestamp=time.time())

    def _enter(self, frame: str, rank: int) -> None:
        """Begin anew in another fixed frame, where what comes knows better than what is drawn; else refuse it."""
        if frame != self.frame:
            if self.frame and rank <= self._rank and rank == WHOLE:
                raise ViewError(f"got a cloud in frame '{frame}', expected '{self.frame}', in which the rest is drawn")
            if self.frame and rank < self._rank:
                raise ViewError(f"got a scan in frame '{frame}' without a pose, expected one in '{self.frame}'")
            self._recording.log("world", rr.Clear(recursive=True))
            self._seen = {entity: drawn for entity, drawn in self._seen.items() if entity[0] != "world"}
            self._drawn = {layer: {} for layer in SIZES}
            self._way.clear()
            self.frame, self._rank = frame, rank
        self._rank = max(rank, self._rank)

    def _draw_cloud(self, layer: str, points: NDArray[np.float32], labels: NDArray[np.uint8] | None, most: int) -> None:
        step = max(1, -(-len(points) // most))
        points = points[::step]
        of_points = np.full(len(points), NO_LABEL) if labels is None else labels[::step].astype(np.int64)
        finite = np.isfinite(points).all(axis=1)
        parts = split_by_label(points[finite], of_points[finite])
        for label in set(self._drawn[layer]) - set(parts):
            self._clear(*self._entity(layer, label))
        self._drawn[layer] = parts
        for label, part in parts.items():
            if label not in self._hidden:
                self._log_part(layer, label, part)

    def _log_part(self, layer: str, label: int, points: NDArray[np.float32]) -> None:
        entity = self._entity(layer, label)
        if label in self._hidden:
            self._clear(*entity)
            return
        size = rr.Radius.ui_points(SIZES[layer] / 2)
        self._log(rr.Points3D(points, colors=self._color(label), radii=size), *entity)

    def _draw_line(self, name: str, positions: Any, color: tuple[int, int, int]) -> None:
        line = rr.LineStrips3D([np.asarray(positions)], colors=color, radii=rr.Radius.ui_points(1.5))
        self._log(line, "world", name)

    def _go_to(self, place: NDArray[np.float64]) -> None:
        step = float(np.linalg.norm(place - self._way[-1])) if self._way else np.inf
        if step > MAX_STEP:
            self._way.clear()
        if step >= MIN_STEP:
            self._way.append(place)
            self._draw_line("way", list(self._way), WAY_COLOR)

    def _log(self, drawn: rr.AsComponents, *entity: str) -> None:
        self._recording.log(list(entity), drawn)
        self._seen[entity] = drawn

    def _clear(self, *entity: str) -> None:
        self._recording.log(list(entity), rr.Clear(recursive=False))
        self._seen.pop(entity, None)

    def _entity(self, layer: str, label: int) -> tuple[str, ...]:
        return ("world", layer, self._name(label))

    def _name(self, label: int) -> str:
        return "points" if label == NO_LABEL else self._names.get(label, f"label {label}")

    def _color(self, label: int) -> tuple[int, int, int]:
        if label == NO_LABEL:
            return UNLABELLED_COLOR
        color = self._colors.get(label) or spread_colors(label + 1)[label]
        return color if any(color) else UNLABELLED_COLOR

    def _count(self, label: int) -> int:
        return sum(len(parts[label]) for parts in self._drawn.values() if label in parts)


def split_by_label(points: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[int, NDArray[np.float32]]:
    """The points of each label, ``(N, 3)`` by ``(N,)``, in their order."""
    order = np.argsort(labels, kind="stable")
    found, starts = np.unique(labels[order], return_index=True)
    return dict(zip(map(int, found), np.split(points[order], starts[1:]))) if len(points) else {}


def _sinks(config: ViewConfig) -> list[Any]:
    """Where drawings go: to browsers, through the second port, and to the file."""
    server = rr.GrpcServerSink(
        config.address,
        config.port + 1,
        server_memory_limit=f"{config.memory_limit}MB",
        newest_first=True,
        cors_allow_origin=[f"http://*:{config.port}"],
    )
    if not config.save:
        return [server]
    path = Path(config.save)
    if not path.parent.is_dir():
        raise ViewError(f"save: got '{path}', expected a file in a folder that exists")
    return [server, rr.FileSink(path)]


def _blueprint() -> rrb.Blueprint:
    """The views: space on the left, curves and diagnostics on the right."""
    range_shown = rrb.VisibleTimeRange(
        TIMELINE,
        start=rrb.TimeRangeBoundary.cursor_relative(seconds=-PLOTTED),
        end=rrb.TimeRangeBoundary.cursor_relative(),
    )
    curves = [
        rrb.TimeSeriesView(origin=origin, name=name, time_ranges=range_shown)
        for origin, name in (("latency", "Latency [ms]"), ("bandwidth", "Bandwidth [kbit/s]"))
    ]
    eye = rrb.EyeControls3D(position=EYE, look_target=(0.0, 0.0, 0.0), tracking_entity="world/sensor")
    space = rrb.Spatial3DView(origin="world", name="World", background=BACKGROUND, eye_controls=eye)
    texts = rrb.TextDocumentView(origin="diagnostics", name="Diagnostics")
    views = rrb.Horizontal(space, rrb.Vertical(*curves, texts), column_shares=[5, 2])
    return rrb.Blueprint(views, rrb.TimePanel(state="collapsed"), collapse_panels=True)
