# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a map that went over a link, beside those that other code computes of the same messages and points."""

import json
import math

import jsonschema
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from kpconv_ros import cli
from kpconv_ros.checkpoint import Manifest
from kpconv_ros.codec.tile import TileContent, TileKey
from kpconv_ros.config_io import ConfigError
from kpconv_ros.evaluation.replay.offline_link import OfflineLink
from kpconv_ros.evaluation.replay.options import EvaluateOptions, EvaluationError
from kpconv_ros.evaluation.replay.tile_scores import evenly, measure_rates, most_in_a_window, score_tile
from kpconv_ros.evaluation.replay.transmission import TransmissionTally, join_tiles, link_configs
from kpconv_ros.evaluation.report.build import SCHEMA_FILE
from kpconv_ros.pipelines.map_encoder import MapEncoderConfig
from kpconv_ros.pipelines.tile_codec import TileCodec

RATE = 64000.0
OVERHEAD = 190


class ListeningTally(TransmissionTally):
    """Keeps every message and the receiver's map, to be judged another way."""

    def take_message(self, at, data):
        self.__dict__.setdefault("kept", []).append((at, data))
        super().take_message(at, data)

    def end(self, seconds, points, labels):
        self.at_end = (points, labels)
        super().end(seconds, points, labels)


def walls(seed=0, num_points=6000):
    """A ground of 50 x 30 m with two walls, and a label for each."""
    random = np.random.default_rng(seed)
    points = random.uniform((-12, -14, 0), (38, 16, 0.05), (num_points, 3))
    labels = np.ones(num_points, np.uint8)
    for place, y in ((1, -10.0), (2, 12.0)):
        points[place::3, 1], labels[place::3] = y, 1 + place
        points[place::3, 2] = random.uniform(0, 4, len(points[place::3]))
    return points, labels


@pytest.fixture(scope="module")
def link():
    """A link over which a map has gone: it was given twice, the second time with more points."""
    configs = link_configs({"rate": str(RATE), "latent_model": "''"})
    manifest = Manifest(
        "walls", "", "", ("unlabeled", "ground", "wall", "far wall"), ((0, 0, 0),) * 4, 1.0, 6.0, ("one",), 1.0
    )
    tally = ListeningTally(configs, "map", manifest, TileCodec())
    link = OfflineLink(tally)
    points, labels = walls()
    link.take_map(points[:4000], labels[:4000])
    link.run_until(3.0)
    link.take_map(points, labels)
    link.run_until(9.0)
    link.end()
    return tally


@pytest.fixture(scope="module")
def figures(link):
    return link.report()


def test_bytes_are_those_of_the_messages_and_of_their_headers(link, figures):
    assert figures["messages"] == len(link.kept) > 5
    assert figures["bytes"] == sum(OVERHEAD + len(data) for _, data in link.kept)
    assert figures["bandwidth"]["bytes"] == [
        sum(OVERHEAD + len(data) for at, data in link.kept if second <= at < second + 1) for second in range(9)
    ]
    points, _ = walls()
    voxels = len({tuple(np.floor(point / 0.2).astype(int)) for point in points})
    cells = {(math.floor(x), math.floor(y)) for x, y, _ in points}
    assert figures["map_points"] == pytest.approx(voxels, rel=2e-3)
    assert figures["map_m2"] == pytest.approx(len(cells), rel=2e-2)  # a voxel has one of its points
    assert figures["bytes_per_point"] == pytest.approx(figures["bytes"] / figures["map_points"])
    assert figures["bytes_per_m2"] == pytest.approx(figures["bytes"] / figures["map_m2"])


def test_no_second_has_more_than_the_cap_less_the_reserve(link, figures):
    most = 0
    for start, _ in link.kept:
        most = max(most, sum(OVERHEAD + len(data) for at, data in link.kept if start <= at < start + 1.0 - 1e-9))
    assert figures["bandwidth"]["most_bytes_in_1_s"] == most
    assert 0.5 * RATE / 8 < most <= (1 - MapEncoderConfig().reserve) * RATE / 8


def test_bytes_of_a_tile_are_those_of_the_last_packets_that_named_it(link, figures):
    last = {}
    for _, data in link.kept:
        place = 0
        while place < len(data):
            size, shift, byte = 0, 0, 0x80
            while byte & 0x80:  # a varint
                byte, place = data[place], place + 1
                size, shift = size | (byte & 0x7F) << shift, shift + 7
            packet, place = data[place : place + size], place + size
            if packet[1]:  # no index
                head = 7 if packet[0] & 0xF else 6  # several parts have one byte more
                (ix, used), sequence = zigzag(packet, head), None
                iy, used = zigzag(packet, used)
                sequence, _ = varint(packet, used)
                seen, total = last.get((ix, iy), (-1, 0))
                last[ix, iy] = (sequence, (total if sequence == seen else 0) + size)
    assert {tuple(row["tile"]): row["bytes"] for row in figures["tiles"]} == {key: at[1] for key, at in last.items()}


def varint(data, place):
    value, shift, byte = 0, 0, 0x80
    while byte & 0x80:
        byte, place = data[place], place + 1
        value, shift = value | (byte & 0x7F) << shift, shift + 7
    return value, place


def zigzag(data, place):
    value, place = varint(data, place)
    return value >> 1 ^ -(value & 1), place


def test_distortion_is_that_of_trees_over_the_points_of_each_tile(link, figures):
    sent, got = link.sent_map()[0], link.at_end[0]
    assert len(figures["tiles"]) >= 6
    for row in figures["tiles"]:
        mine, other = (cloud[(np.floor(cloud[:, :2] / 20) == row["tile"]).all(axis=1)] for cloud in (sent, got))
        there, back = cKDTree(other).query(mine)[0], cKDTree(mine).query(other)[0]
        assert row["points"] == len(mine) and abs(row["decoded_points"] - len(other)) <= 3  # on a border
        assert row["chamfer_m"] == pytest.approx((there.mean() + back.mean()) / 2, abs=1e-3)
        psnr = 10 * np.log10(3 * 20.0**2 / max((there**2).mean(), (back**2).mean()))
        assert row["d1_psnr_db"] == pytest.approx(psnr, abs=0.1)
        assert row["shown"] == pytest.approx((there < 0.5).mean(), abs=1e-3)
    mean = np.mean([row["chamfer_m"] for row in figures["tiles"]])
    assert figures["distortion"]["chamfer_m"]["mean"] == pytest.approx(mean)
    nearest = cKDTree(got).query(sent)
    agrees = (link.at_end[1][nearest[1]] == link.sent_map()[1])[nearest[0] < 0.5]
    assert figures["shown"] == pytest.approx((nearest[0] < 0.5).mean(), abs=0.01) and figures["shown"] > 0.9
    assert figures["label_agreement"] == pytest.approx(agrees.mean(), abs=0.01) and figures["label_agreement"] > 0.5


def test_emkd_of_one_cell_is_the_earth_movers_distance():
    random = np.random.default_rng(1)
    points = random.uniform(0, 20, (200, 3)).astype(np.float32)
    decoded = (points + random.normal(0, 0.1, points.shape)).astype(np.float32).clip(0, 20)
    costs = cdist(points, decoded)
    rows, columns = linear_sum_assignment(costs)
    labels = np.zeros(200, np.uint8)
    scores = score_tile(TileContent(points, labels), TileContent(decoded, labels), 0.5, with_emkd=True)
    assert scores["emkd_m"] == pytest.approx(costs[rows, columns].mean(), rel=1e-4)
    assert scores["agreement"] == 1.0
    decoded = TileContent(points, np.repeat([0, 1], [150, 50]).astype(np.uint8))
    assert score_tile(TileContent(points, labels), decoded, 0.5, with_emkd=False)["agreement"] == 0.75


def test_a_tile_that_did_not_arrive_is_not_shown():
    tally = TransmissionTally(link_configs({}), "map", None, TileCodec())
    tally.see(*walls())
    tally.end(1.0, np.zeros((0, 3)), np.zeros(0, np.uint8))
    report = tally.report()
    assert report["shown"] == 0.0 and report["label_agreement"] is None and report["bytes"] == 0
    assert {row["chamfer_m"] for row in report["tiles"]} == {None} and report["distortion"]["emkd_m"]["mean"] is None
    assert not tally.has_both_ends


def test_draco_beside_itself_is_the_same_in_as_many_bytes():
    points, labels = walls(num_points=3000)
    inside = ((points[:, :2] > 0) & (points[:, :2] < 20)).all(axis=1)
    tile = TileContent(points[inside].astype(np.float32), labels[inside])
    rows = measure_rates(TileCodec(), [tile])
    link, draco = ([row for row in rows if row["coder"] == name] for name in ("link", "draco"))
    assert len(link) == len(draco) >= 4
    for mine, other in zip(link, draco):
        assert mine["chamfer_m"] == pytest.approx(other["chamfer_m"]) and mine["tiles"] == 1
        assert mine["bytes_per_point"] * len(tile.points) <= mine["max_bytes"]
    assert all(a["chamfer_m"] >= b["chamfer_m"] for a, b in zip(link, link[1:]))


def test_maps_are_joined_where_their_tiles_are():
    tile = TileContent(np.array([[1.0, 2.0, 3.0]], np.float32), np.array([4], np.uint8))
    points, labels = join_tiles({TileKey(-1, 2): tile})
    assert points.tolist() == [[-19.0, 42.0, 3.0]] and labels.tolist() == [4]


def test_some_of_many_are_taken_evenly():
    assert evenly(list(range(100)), 4) == [0, 25, 50, 75] and evenly([1, 2], 4) == [1, 2]
    assert most_in_a_window([], [], 1.0) == 0
    assert most_in_a_window([0.0, 0.5, 0.9, 1.0, 3.0], [1, 2, 4, 8, 9], 1.0) == 14


def test_parameters_are_those_of_the_encoder_and_its_coders():
    configs = link_configs({"rate": "9000.0", "burst": "5.0", "schedule.near": "12.0", "latent_model": "mine"})
    assert (configs.encoder.rate, configs.encoder.schedule.near, configs.codec.latent_model) == (9000.0, 12.0, "mine")
    with pytest.raises(ConfigError, match="unknown key 'bitrate'"):
        link_configs({"bitrate": "1.0"})


def test_a_map_is_not_sent_without_poses_nor_in_mode_rate(street):
    parts = ("segmentation", "transmission")
    with pytest.raises(EvaluationError, match="transmission without poses"):
        EvaluateOptions(street, parts=parts).pose_source(False)
    with pytest.raises(EvaluationError, match="transmission in mode rate"):
        EvaluateOptions(street, parts=parts, mode="rate")
    with pytest.raises(EvaluationError, match="tail: got -1"):
        EvaluateOptions(street, tail=-1.0)


@pytest.mark.parametrize("parts", ["segmentation,transmission", "transmission"])
def test_a_recording_is_sent_offline(street, model, tmp_path, parts, capsys):
    pytest.importorskip("plotly")
    words = ["--parts", parts, "--model", str(model), "--out", str(tmp_path), "--tail", "6"]
    for parameter in ("rate:=56000.0", "burst:=0.25", "latent_model:=''"):  # latents would take most of the time
        words += ["--transmit", parameter]
    assert cli.main(["evaluate", str(street), *words]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(report, json.loads(SCHEMA_FILE.read_text()))
    part = report["transmission"]
    assert part["source"] == ("map" if "segmentation" in parts else "scans")
    assert list(report["scans"]) == (["segmentation"] if "segmentation" in parts else [])
    assert part["seconds"] == pytest.approx(6.7, abs=0.05) and part["bandwidth"]["cap_bytes_per_s"] == 7000
    assert 0 < part["bytes"] <= 0.9 * 7000 * 6.7 + 0.25 * 0.9 * 7000
    assert (part["label_agreement"] is None) == (part["source"] == "scans")
    assert part["shown"] > 0.5 and report["latency_ms"]["transmission"]["send"]["count"] >= 8
    assert (tmp_path / "link.png").stat().st_size > 10_000
    assert "sent [bytes]" in capsys.readouterr().out
    assert 'id="bandwidth"' in (tmp_path / "report.html").read_text()
