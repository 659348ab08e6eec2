# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``kpconv-ros evaluate`` is told."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kpconv_ros.config_io import ConfigError, parse_yaml
from kpconv_ros.data.recorded_scans import ScanSelection

MODES = ("offline", "live", "rate")
SCAN_PARTS = ("segmentation", "registration")
"""Parts that answer every scan."""
PARTS = (*SCAN_PARTS, "transmission")
"""Parts of the package that can be run; a further one is added here, to the runs and to the report."""
POSES = ("auto", "recording", "register", "none")
MAX_TAIL = 50.0  # s; the recorder waits so long at most


class EvaluationError(ValueError):
    """A recording cannot be evaluated as it was asked for."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What to run on what."""

    bag: Path
    """Bag, or KITTI-layout folder."""
    sequence: str = ""
    """Of the KITTI-layout folder."""
    mode: str = "offline"
    """One of `MODES`."""
    parts: tuple[str, ...] = SCAN_PARTS
    """Some of `PARTS`."""
    topics: Mapping[str, str] = field(default_factory=dict)
    """``points_topic``, ``ground_truth_topic``, ``odometry_topic`` where they were named."""
    selection: ScanSelection = ScanSelection()
    """Which scans."""
    poses: str = "auto"
    """Where the segmentation's poses come from, one of `POSES`."""
    extrinsic: tuple[float, ...] | None = None
    """Sensor in the odometry's child frame: x, y, z [m], roll, pitch, yaw [rad]."""
    model: str = "street_sim"
    """Name or folder of the model."""
    device: str = "auto"
    """Where the network runs."""
    intensity_scale: float = 0.0
    """Raw intensity that counts as 1; 0: what the model was trained with."""
    segment: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the segmentation, as text."""
    register: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the registration, as text."""
    transmit: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the map's transmission, those of the node encode, as text."""
    tail: float = 5.0
    """How long the link goes on after the last scan [s]."""
    speed: float = 1.0
    """Multiple of the recorded speed, in mode live."""
    out: Path = Path("out/evaluate")
    """Folder for report, pictures, trajectories and logs."""
    keep_labels: bool = False
    """Whether the labels of every scan stay in the folder, as ``record.labels``."""
    max_rate: float = 100.0
    """Highest rate that is tried [Hz]."""
    trial: float = 20.0
    """Length of a trial of a rate [s]."""
    map_points: int = 200_000
    """Most points in the report's 3D view."""

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            EvaluationError: Naming the one that is wrong.
        """
        for name, got, allowed in (("mode", [self.mode], MODES), ("poses", [self.poses], POSES)):
            _check_choices(name, got, allowed)
        _check_choices("parts", self.parts, PARTS)
        if not self.parts:
            raise EvaluationError(f"parts: got none, expected some of {', '.join(PARTS)}")
        if self.poses == "register" and "registration" not in self.parts:
            raise EvaluationError("poses: got register, expected registration among the parts then")
        if self.mode == "rate" and "transmission" in self.parts:
            raise EvaluationError(f"parts: got transmission in mode rate, expected some of {', '.join(SCAN_PARTS)}")
        if not 0.01 <= self.speed <= 100.0:
            raise EvaluationError(f"speed: got {self.speed}, expected 0.01 to 100")
        if not 0.0 <= self.tail <= MAX_TAIL:
            raise EvaluationError(f"tail: got {self.tail} s, expected 0 to {MAX_TAIL:g}")
        if not (self.trial >= 1.0 and self.max_rate > 0 and self.map_points > 0):
            raise EvaluationError(f"got trial {self.trial} s, max_rate {self.max_rate}, map_points {self.map_points}")

    @property
    def name(self) -> str:
        """The recording, for people."""
        return f"{self.bag.resolve().name} {self.sequence}".strip()

    def pose_source(self, has_recorded_poses: bool) -> str:
        """Where poses come from for this recording: ``recording``, ``register`` or ``none``.

        Raises:
            EvaluationError: If recorded poses were asked for and there are none, or a map is to be sent without poses.
        """
        if self.poses == "recording" and not has_recorded_poses:
            raise EvaluationError(f"{self.bag}: got no odometry, expected one as asked for by poses recording")
        found = self.poses
        if found == "auto" and has_recorded_poses:
            found = "recording"
        elif found == "auto":
            found = "register" if "registration" in self.parts else "none"
        if found == "none" and "transmission" in self.parts:
            raise EvaluationError("parts: got transmission without poses, which make a map of scans; expected an "
                                  "odometry in the recording, or registration among the parts")  # fmt: skip
        return found

    def T_child_sensor(self, cloud_frame: str, child_frame: str) -> NDArray[np.float64]:  # noqa: N802
        """Sensor in the child frame of the recorded odometry, ``(4, 4)``.

        Raises:
            EvaluationError: If the frames differ and no extrinsic says how they lie.
        """
        if self.extrinsic is None and cloud_frame != child_frame:
            raise EvaluationError(
                f"got clouds in frame '{cloud_frame}' and an odometry of '{child_frame}', expected the same, or "
                "--extrinsic to say where the sensor is; --poses none does without the odometry"
            )
        result = np.eye(4)
        if self.extrinsic is not None:
            result[:3, :3] = Rotation.from_euler("xyz", self.extrinsic[3:]).as_matrix()
            result[:3, 3] = self.extrinsic[:3]
        return result


def _check_choices(name: str, got: Sequence[str], allowed: Sequence[str]) -> None:
    unknown = [choice for choice in got if choice not in allowed]
    if unknown:
        raise EvaluationError(f"{name}: got {', '.join(unknown)}, expected some of {', '.join(allowed)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add("bag", type=Path, help="rosbag2 folder, .mcap, .db3, ROS 1 .bag, or KITTI-layout folder")
    add("--sequence", default="", help="sequence of a KITTI-layout folder, such as 00")
    add("--mode", choices=MODES, default="offline", help="offline: one process, every scan; live: the nodes over DDS "
        "at the recorded rate; rate: likewise faster, until the highest rate that holds is found")  # fmt: skip
    add("--parts", default=",".join(SCAN_PARTS), help=f"what to run, by commas, of {', '.join(PARTS)}")
    for name, text in (("points", "clouds"), ("ground-truth", "labelled clouds"), ("odometry", "odometry")):
        add(f"--{name}-topic", default="", help=f"topic of the {text}; found by its type where there is one only")
    add("--start", type=float, default=0.0, help="where to begin, seconds after the beginning")
    add("--duration", type=float, help="how much, seconds; to the end if not given")
    add("--stride", type=int, default=1, help="take every so many scans")
    add("--poses", choices=POSES, default="auto", help="poses of the segmentation: those of the recording, of the "
        "registration, or none; auto: the first of these that there is")  # fmt: skip
    add("--extrinsic", nargs=6, type=float, metavar=("X", "Y", "Z", "ROLL", "PITCH", "YAW"),
        help="sensor in the odometry's child frame, metres and radians")  # fmt: skip
    add("--model", default=EvaluateOptions.model, help="name or folder of the segmentation's model")
    add("--device", default="auto", help="where the network runs: auto, cpu or cuda")
    add("--intensity-scale", type=float, default=0.0, help="raw intensity that counts as 1; 0: as in training")
    for name in _EXAMPLES:
        add(f"--{name}", action="append", default=[], metavar="NAME:=VALUE",
            help=f"parameter of {_NODES[name]}, such as {_EXAMPLES[name]}")  # fmt: skip
    add("--speed", type=float, default=1.0, help="mode live: multiple of the recorded speed")
    add("--tail", type=float, default=EvaluateOptions.tail, help="how long the link goes on after the last scan [s]")
    add("--keep-labels", action="store_true", help="leave all published labels in OUT/record.labels, 3 bytes a point")
    add("--max-rate", type=float, default=EvaluateOptions.max_rate, help="mode rate: highest rate to try [Hz]")
    add("--trial", type=float, default=EvaluateOptions.trial, help="mode rate: length of a trial [s]")
    add("--map-points", type=int, default=EvaluateOptions.map_points, help="most points in the report's 3D view")
    add("--out", type=Path, default=EvaluateOptions.out, help="folder for report.json, report.html and logs")


_NODES = {"segment": "segment", "register": "register", "transmit": "encode"}
_EXAMPLES = {"segment": "time_budget:=0.2", "register": "num_points:=700", "transmit": "rate:=128000.0"}


def options_of(args: argparse.Namespace) -> EvaluateOptions:
    """Make options of parsed arguments.

    Raises:
        EvaluationError: If one is wrong.
        ScanError: If the selection is.
    """
    topics = {name: getattr(args, name) for name in ("points_topic", "ground_truth_topic", "odometry_topic")}
    return EvaluateOptions(
        bag=args.bag,
        sequence=args.sequence,
        mode=args.mode,
        parts=tuple(part for part in args.parts.split(",") if part),
        topics={name: topic for name, topic in topics.items() if topic},
        selection=ScanSelection(args.start, args.duration, args.stride),
        poses=args.poses,
        extrinsic=None if args.extrinsic is None else tuple(args.extrinsic),
        model=args.model,
        device=args.device,
        intensity_scale=args.intensity_scale,
        segment=parameters_of(args.segment),
        register=parameters_of(args.register),
        transmit=parameters_of(args.transmit),
        tail=args.tail,
        speed=args.speed,
        out=args.out,
        keep_labels=args.keep_labels,
        max_rate=args.max_rate,
        trial=args.trial,
        map_points=args.map_points,
    )


def parameters_of(words: Sequence[str]) -> dict[str, str]:
    """Split ``NAME:=VALUE`` words.

    Raises:
        EvaluationError: If a word is none.
    """
    parameters = {}
    for word in words:
        name, sign, value = word.partition(":=")
        if not sign or not name:
            raise EvaluationError(f"got {word!r}, expected NAME:=VALUE")
        parameters[name] = value
    return parameters


def values_of(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Read the texts of parameters as YAML, as ROS does.

    Raises:
        EvaluationError: If one is no YAML.
    """
    try:
        return {name: parse_yaml(text) for name, text in parameters.items()}
    except ConfigError as error:
        raise EvaluationError(f"got parameters {dict(parameters)}, expected YAML values: {error}") from error
