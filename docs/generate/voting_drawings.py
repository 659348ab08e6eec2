# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drawings of incremental sphere voting: what the package's own classes do with scans of the simulator.

Every scan gets the same number of spheres, in place of a time budget: the drawings do not depend on the machine.
"""

import io
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from kpconv_ros.checkpoint import Model, load_model
from kpconv_ros.data.simulator import Simulator
from kpconv_ros.geometry.se3 import transform_points
from kpconv_ros.mapping.sphere_voting import PickedSphere, SphereVoting, SphereVotingConfig
from kpconv_ros.pipelines.scan_map import LiveSegmenterConfig, voting_config
from kpconv_ros.pipelines.sphere_classifier import SphereClassifier

Array = NDArray[Any]
NUM_SCANS = 10
SHOWN = (1, 3, 10)
SPHERES_A_SCAN = 2
SCAN_PERIOD = 0.5  # s; in steps of 0.1 s little would change from one drawing to the next
VIEW = 32.0  # m around the sensor
COLORS_OF_PNG = 64
GREY = "#c8ccd0"
PLATE = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "crimson"}


class State(NamedTuple):
    """The map after a scan."""

    sensor: Array
    picked: list[PickedSphere]
    voxels: Array
    cells: Array
    potential: Array
    voted: Array
    """Share of the voxels around the sensor that have votes."""
    labels: Array
    confidence: Array


def draw_voting(folder: Path) -> None:
    """Write the drawings of voting.md."""
    matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 10})
    model = load_model("street_sim", "cpu")
    states = follow_street(model)
    colors = np.asarray(model.manifest.colors) / 255.0
    _save(_draw_potentials(states), folder / "voting_potentials.png")
    _save(_draw_votes(states, colors), folder / "voting_votes.png")
    _save(_draw_weight(), folder / "voting_weight.png")


def follow_street(model: Model) -> list[State]:
    """Vote along a simulated street; the states after the scans `SHOWN`."""
    simulator, states = Simulator(seed=0), []
    classifier = SphereClassifier(model, bf16=False)
    voting = SphereVoting(voting_config(model, LiveSegmenterConfig()), classifier.num_classes)
    for number in range(1, NUM_SCANS + 1):
        scan = simulator.scan((number - 1) * SCAN_PERIOD)
        sensor = scan.T_map_sensor[:3, 3]
        points = transform_points(scan.T_map_sensor, scan.points.astype(np.float64))
        voting.insert(points, classifier.scale_intensity(scan.intensity, len(points)), scan.stamp, sensor)
        picked = _vote(voting, classifier, float(sensor[2]) - simulator.config.sensor_height)
        if number in SHOWN:
            states.append(_state(voting, sensor, picked))
    return states


def _vote(voting: SphereVoting, classifier: SphereClassifier, ground_z: float) -> list[PickedSphere]:
    picked = []
    while len(picked) < SPHERES_A_SCAN and (sphere := voting.propose_sphere()) is not None:
        voting.accept(sphere)
        (probabilities,) = classifier.classify([sphere], ground_z)
        voting.add_votes(sphere, probabilities)
        picked.append(sphere)
    return picked


def _state(voting: SphereVoting, sensor: Array, picked: list[PickedSphere]) -> State:
    labels, confidence = voting.voxels.label()
    near = np.abs(voting.voxels.points - sensor)[:, :2].max(axis=1) < VIEW
    return State(
        sensor.copy(),
        picked,
        voting.voxels.points.copy(),
        voting.cells.points.copy(),
        voting.cells.potential.copy(),
        (voting.voxels.vote_weight[near] > 0).mean(),
        labels[:-1],
        confidence[:-1],
    )


def _draw_potentials(states: list[State]) -> Figure:
    figure, panels = _panels(states)
    for panel, state in zip(panels, states):
        order = np.argsort(state.potential)
        drawn = panel.scatter(*state.cells[order, :2].T, c=state.potential[order], s=3, cmap="viridis", vmin=0, vmax=2)
        for turn, picked in enumerate(state.picked, start=1):
            place = picked.center[:2]
            circle = matplotlib.patches.Circle(place, picked.reach, fill=False, color="crimson", linewidth=1.4)
            panel.add_patch(circle)
            panel.annotate(str(turn), place, color="crimson", weight="bold", ha="center", va="center", bbox=PLATE)
    figure.colorbar(drawn, ax=panels, label="potential", shrink=0.8)
    return figure


def _draw_votes(states: list[State], colors: Array) -> Figure:
    figure, panels = _panels(states)
    for panel, state, number in zip(panels, states, SHOWN):
        voted = state.confidence > 0
        panel.scatter(*state.voxels[~voted, :2].T, color=GREY, s=0.3)
        seen = colors[state.labels[voted]] * (0.25 + 0.75 * state.confidence[voted, None])
        panel.scatter(*state.voxels[voted, :2].T, color=seen, s=0.6)
        panel.set_title(f"after scan {number}: {100 * state.voted:.0f} % of the voxels have votes")
    return figure


def _draw_weight() -> Figure:
    """The weight that a vote has by its distance from the centre, as `SphereVoting.add_votes` gives it."""
    voting = SphereVoting(SphereVotingConfig(voxel_size=0.05, sphere_radius=4.0), num_classes=1)
    distances = np.arange(0.025, 4.0, 0.05)
    line = np.stack([distances, 0 * distances, 0 * distances], axis=1)
    voting.insert(line, None, 0.0, np.zeros(3))
    picked = voting.cut_sphere(np.zeros(3))
    voting.add_votes(picked, np.ones((len(picked.sphere.voxels), 1), np.float32))
    order = np.argsort(voting.voxels.points[:, 0])
    figure = Figure(figsize=(4.2, 2.4), layout="constrained")
    panel = figure.subplots()
    panel.plot(voting.voxels.points[order, 0] / 4.0, voting.voxels.vote_weight[order])
    panel.set(xlabel="distance from the centre / reach", ylabel="weight of the vote", xlim=(0, 1), ylim=(0, 1.05))
    return figure


def _panels(states: list[State]) -> tuple[Figure, Any]:
    figure = Figure(figsize=(12.0, 4.2), layout="constrained")
    panels = figure.subplots(1, len(states))
    for panel, state, number in zip(panels, states, SHOWN):
        x, y = state.sensor[:2]
        panel.plot(x, y, marker="^", color="black", markersize=7, zorder=5)
        panel.set(xlim=(x - VIEW, x + VIEW), ylim=(y - VIEW, y + VIEW), aspect="equal", title=f"after scan {number}")
        panel.tick_params(labelsize=7)
    return figure, panels


def _save(figure: Figure, path: Path) -> None:
    """Write a picture of few colours, which makes a small file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=90)
    Image.open(buffer).convert("RGB").quantize(COLORS_OF_PNG, dither=Image.Dither.NONE).save(path, optimize=True)
