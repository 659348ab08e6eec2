# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One drive with encoder and decoder at the two ends of a thin link, as processes in namespaces of their own."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kpconv_ros.evaluation.live_run import ros_parameters
from kpconv_ros.evaluation.node_processes import NodeProcesses
from kpconv_ros.evaluation.thin_link import Sample, ThinLink

LINK_DOMAIN = 70
SETTLE = 8.0  # s in which the nodes start and find each other before the drive
PATIENCE = 60.0  # s until the drive begins
CONFIG = Path(__file__).resolve().parents[2] / "config"


class Source(NamedTuple):
    """Who publishes labelled scans and odometry, and for how long."""

    node: str
    arguments: tuple[str, ...]
    duration: float
    """Of the drive, seconds."""
    num_scans: int
    scan_period: float
    """Seconds between two scans."""
    map_arguments: tuple[str, ...] = ()
    """Instead of ``arguments`` where it is to publish the true map too."""


@dataclass(frozen=True)
class Incident:
    """What goes wrong during a drive; times in seconds after its start."""

    name: str
    loss: float = 0.0
    """Share of packets dropped at each end."""
    cut: tuple[float, float] | None = None
    """From when to when nothing passes."""
    decoder_starts: float = 0.0
    encoder_dies: float | None = None
    """When it is killed and at once started again."""
    encoder_input: str = "scans"
    """``scans`` with odometry, or the ``map``, which its publisher keeps for those who come late."""

    @property
    def span(self) -> tuple[float, float]:
        """From when to when nothing could arrive, whatever the nodes do."""
        if self.cut is not None:
            return self.cut
        if self.encoder_dies is not None:
            return self.encoder_dies, self.encoder_dies
        return 0.0, self.decoder_starts


@dataclass
class LinkRun:
    """What was recorded of a drive; times are seconds of the wall clock."""

    incident: Incident
    started: float
    """When the drive began, from which the incident's times count."""
    samples: list[Sample]
    dropped: tuple[int, int]
    versions: dict[str, Any] = field(default_factory=dict)
    """The file of the recorder behind the decoder."""
    poses: Any = None
    """Time, x, y, z of the odometry, ``(P, 4)``."""
    encoder: dict[str, str] = field(default_factory=dict)
    """What its diagnostics told at the end, of all its sessions: codes made, codes and bytes of each level."""
    cpu: dict[str, float] = field(default_factory=dict)
    """Seconds of a core that encoder and decoder took from the beginning of the drive, starting included."""


def drive(
    source: Source, incident: Incident, rate: int, folder: Path, after: float, tell: Callable[[str], None] = print
) -> LinkRun:
    """Drive once; all processes and namespaces are gone when this returns.

    Args:
        source: Who publishes the scans.
        incident: What goes wrong.
        rate: Of the link, bits a second each way.
        folder: For logs and records.
        after: How long to go on after the end of the drive, seconds.
        tell: Called with a line when something happens.

    Raises:
        LinkError: If this machine cannot make the link.
        LiveRunError: If a node dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = [folder / f"{end}.npz" for end in ("robot", "receiver")]
    has_begun = records[0].with_suffix(".started")
    for file in (*records, has_begun, records[0].with_suffix(".json")):
        file.unlink(missing_ok=True)
    with ThinLink(rate, incident.loss) as link:
        with NodeProcesses(folder) as nodes:
            crew = _Crew(nodes, link, rate, records, incident.encoder_input)
            crew.start_robot()
            if not incident.decoder_starts:
                crew.start_receiver()
            time.sleep(SETTLE)
            arguments = source.map_arguments if incident.encoder_input == "map" else source.arguments
            nodes.start("source", arguments, source.node, link.within(0), crew.environment)
            nodes.wait_until(has_begun.exists, "the drive to begin", PATIENCE)
            started = time.time()
            tell(f"{incident.name}: driving for {source.duration:g} s")
            before = crew.cpu_seconds()
            _live_through(crew, incident, source.duration + after, tell)
            cpu = {name: seconds - before.get(name, 0.0) for name, seconds in crew.cpu_seconds().items()}
        run = LinkRun(incident, started, list(link.samples), link.dropped(), cpu=cpu)
    with np.load(records[0]) as found:
        run.poses = found["poses"]
    run.encoder = summed(json.loads(records[0].with_suffix(".json").read_text(encoding="utf-8")))
    with np.load(records[1]) as found:
        run.versions = {name: found[name] for name in found.files}
    return run


def summed(sessions: dict[str, dict[str, str]]) -> dict[str, str]:
    """Codes made, and codes and bytes of each level, of all sessions of an encoder, from its last diagnostics."""
    encoded, levels = 0, dict[str, list[int]]()
    for values in sessions.values():
        encoded += int(values["encoded"])
        for name, text in values.items():
            if name.startswith("level_"):
                codes, num_bytes = (int(part.split()[0]) for part in text.split(", ")[:2])
                before = levels.get(name, [0, 0])
                levels[name] = [before[0] + codes, before[1] + num_bytes]
    texts = {name: f"{codes} codes, {num_bytes} bytes" for name, (codes, num_bytes) in sorted(levels.items())}
    return {"encoded": f"{encoded} codes", **texts}


def carry_clouds(source: Source, codec: str, kind: str, rate: int, folder: Path) -> tuple[list[Any], ThinLink]:
    """Send the scans themselves over the link; returns what arrived, and the link with its counters.

    Args:
        source: Who publishes the scans.
        codec: ``raw`` or ``draco``.
        kind: ``best effort`` or ``reliable``, every scan as a message, or ``paced``, as much as the rate allows.
        rate: Of the link, bits a second each way.
        folder: For logs and records.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "arrived.json"
    common: dict[str, Any] = {"codec": codec, "reliable": kind == "reliable", "link_domain": LINK_DOMAIN}
    common["paced_rate"] = 0.9 * rate if kind == "paced" else 0.0
    with ThinLink(rate) as link:
        with NodeProcesses(folder) as nodes:
            environment = link_environment()
            sending = (*ros_parameters(**common), "-r", "~/input/points:=/lidar/points")
            nodes.start("sender", sending, "carry_clouds", link.within(0), environment)
            receiving = ros_parameters(output=str(record), **common)
            nodes.start("receiver", receiving, "carry_clouds", link.within(1), environment)
            time.sleep(SETTLE)
            nodes.start("source", source.arguments, source.node, link.within(0), environment)
            time.sleep(source.duration + SETTLE)
        return list(json.loads(record.read_text(encoding="utf-8"))), link


def link_environment() -> dict[str, str]:
    """Rare discovery on the link; what the nodes of one end tell each other stays there."""
    profile = str(CONFIG / "fastdds_link.xml")
    return {
        "FASTDDS_DEFAULT_PROFILES_FILE": profile,
        "FASTRTPS_DEFAULT_PROFILES_FILE": profile,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }


class _Crew:
    """The nodes of both ends."""

    def __init__(
        self, nodes: NodeProcesses, link: ThinLink, rate: int, records: list[Path], encoder_input: str
    ) -> None:
        self.nodes, self.link, self._rate, self._records = nodes, link, rate, records
        self._encoder_input = encoder_input
        self.environment = link_environment()

    def start_robot(self) -> None:
        recorder = (*ros_parameters(output=str(self._records[0]), diagnosed="encode"), "-r", "~/input/odometry:=/odom")
        self.nodes.start("robot_recorder", recorder, "record_map", self.link.within(0), self.environment)
        self.start_encoder()

    def start_encoder(self) -> None:
        parameters = ros_parameters(
            input=self._encoder_input, link_domain=LINK_DOMAIN, pose_source="odometry", rate=float(self._rate)
        )
        remaps = ("~/input/points:=/lidar/ground_truth", "~/input/odometry:=/odom", "~/input/map:=/lidar/true_map",
                  "~/input/requests:=/decode/output/requests")  # fmt: skip
        arguments = (*parameters, *(word for remap in remaps for word in ("-r", remap)))
        self.nodes.start("encode", arguments, within=self.link.within(0), environment=self.environment)

    def start_receiver(self) -> None:
        recorder = (*ros_parameters(output=str(self._records[1])), "-r", "~/input/map:=/decode/output/map")
        self.nodes.start("receiver_recorder", recorder, "record_map", self.link.within(1), self.environment)
        arguments = (*ros_parameters(link_domain=LINK_DOMAIN), "-r", "~/input/latents:=/encode/output/latents")
        self.nodes.start("decode", arguments, within=self.link.within(1), environment=self.environment)

    def cpu_seconds(self) -> dict[str, float]:
        """Seconds of a core that encoder and decoder have taken, as far as they run."""
        running = {name: self.nodes.nodes[name] for name in ("encode", "decode") if name in self.nodes.nodes}
        ticks = os.sysconf("SC_CLK_TCK")
        fields = {name: Path(f"/proc/{node.process.pid}/stat").read_text().split() for name, node in running.items()}
        return {name: (int(values[13]) + int(values[14])) / ticks for name, values in fields.items()}

    def kill_encoder(self) -> None:
        process = self.nodes.nodes["encode"].process
        process.send_signal(signal.SIGKILL)
        process.wait()


def _live_through(crew: _Crew, incident: Incident, duration: float, tell: Callable[[str], None]) -> None:
    """Do what the incident asks for, when it is time."""
    steps: list[tuple[float, str, Callable[[], None]]] = []
    if incident.cut:
        steps += [
            (incident.cut[0], "the link is cut", crew.link.cut),
            (incident.cut[1], "the link is back", crew.link.restore),
        ]
    if incident.decoder_starts:
        steps.append((incident.decoder_starts, "the decoder is started", crew.start_receiver))
    if incident.encoder_dies is not None:
        steps.append((incident.encoder_dies, "the encoder is killed", crew.kill_encoder))
        steps.append((incident.encoder_dies, "the encoder is started again", crew.start_encoder))
    begin = time.monotonic()
    for at, text, do in [*sorted(steps, key=lambda step: step[0]), (duration, "the end", lambda: None)]:
        while (left := begin + at - time.monotonic()) > 0:
            crew.nodes.check(may_end=("source",))
            time.sleep(min(left, 0.2))
        tell(f"  {at:5.1f} s: {text}")
        do()
