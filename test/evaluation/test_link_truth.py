# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How runs over the link are judged, by hand-made drives."""

import numpy as np
import pytest

from kpconv_ros.codec.tile import TileContent, TileKey
from kpconv_ros.evaluation.link_command import clouds_before
from kpconv_ros.evaluation.link_report import distortions_of, flows_again, judged, quantiles_of, write_between_marks
from kpconv_ros.evaluation.link_run import summed
from kpconv_ros.evaluation.link_truth import COMPLETE, PassedTile, PlacedScan, judge_tile, judge_tiles, passed_tiles
from kpconv_ros.evaluation.thin_link import Sample, most_in_a_second


def grid(x0, count=400):
    """Points 1 m apart on the ground from x0 on, 20 m across."""
    x, y = np.meshgrid(np.arange(count // 20) + x0 + 0.5, np.arange(20) + 0.5)
    return np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)


def scan(x, points=None):
    points = grid(np.floor(x / 20) * 20) if points is None else points
    return PlacedScan(points, np.full(len(points), 5, np.uint8), np.array([x, 10.0, 1.0]))


def content(share=1.0, label=5, shift=0.0):
    points = grid(0.0)[: int(400 * share)] + (0.0, 0.0, shift)
    return TileContent(points.astype(np.float32), np.full(len(points), label, np.uint8))


def test_tiles_are_taken_when_the_robot_is_past_their_far_edge():
    drive = [scan(x) for x in (5.0, 15.0, 25.0, 39.0, 41.0, 45.0)]
    tiles = passed_tiles(drive, at_end=False)
    assert [(tile.key, tile.position[0]) for tile in tiles] == [((0, 0), 25.0), ((1, 0), 41.0)]
    assert [len(tile.content.points) for tile in tiles] == [400, 400]
    assert [tile.key for tile in passed_tiles(drive, at_end=True)] == [(0, 0), (1, 0), (2, 0)]


def test_tiles_behind_the_start_and_sparse_ones_do_not_count():
    drive = [scan(x, np.concatenate([grid(0.0), grid(20.0, 100)])) for x in (21.0, 45.0)]
    assert passed_tiles(drive, at_end=False) == []


def test_a_tile_is_judged_by_what_was_shown_in_time():
    tile = PassedTile(TileKey(0, 0), np.zeros(3), content(), content())
    history = [(8.0, content(0.5)), (13.0, content(1.0, label=6)), (16.0, content())]
    result = judge_tile(tile, history, due=10.0, allowed=5.0)
    assert result.delay == 3.0 and result.shown == 1.0 and result.agreement == 0.0 and result.chamfer == 0.0
    assert result.chamfer_at_end == 0.0 and result.shown_at_end == 1.0
    early = judge_tile(tile, history, due=7.5, allowed=5.0)
    assert early.shown == pytest.approx(0.5) and early.delay == 5.5 and early.chamfer > COMPLETE
    assert early.shown_at_end == 1.0
    assert judge_tile(tile, history, due=20.0, allowed=5.0).delay == 0.0


def test_what_was_seen_after_passing_is_no_error():
    tile = PassedTile(TileKey(0, 0), np.zeros(3), content(0.5), content())
    assert judge_tile(tile, [(1.0, content())], 0.0, 5.0).chamfer == 0.0
    assert judge_tile(tile._replace(whole=tile.content), [(1.0, content())], 0.0, 5.0).chamfer > 1.0


def test_a_tile_that_never_came_has_no_delay_that_is_finite():
    tile = PassedTile(TileKey(0, 0), np.zeros(3), content(), content())
    assert judge_tile(tile, [], 0.0, 5.0)[4:] == (np.inf, 0.0, np.inf, np.inf, 0.0, 0.0, 0.0)
    far = judge_tile(tile, [(1.0, content(shift=0.6))], 0.0, 5.0)
    assert far.shown == 0.0 and far.chamfer == pytest.approx(0.6) and far.delay == np.inf
    near = judge_tile(tile, [(1.0, content(shift=0.39))], 0.0, 5.0)
    assert near.delay == 1.0 and near.chamfer == pytest.approx(0.39)


def test_tiles_of_an_incident_are_due_at_its_end():
    tiles = passed_tiles([scan(x) for x in (5.0, 25.0, 45.0)], at_end=False)
    poses = np.array([[100.0, 5.0, 10.0, 1.0], [102.0, 25.0, 10.0, 1.0], [120.0, 45.0, 10.0, 1.0]])
    both = np.concatenate([grid(0.0), grid(20.0)]).astype(np.float32)
    versions = {
        "times": np.array([107.0, 121.0]),
        "keys": np.array([[0, 0], [1, 0]]),
        "lengths": np.array([400, 400]),
        "points": both,
        "labels": np.full(800, 5, np.uint8),
    }
    first, second = judge_tiles(tiles, poses, versions, (104.0, 106.0), 100.0, 5.0)
    assert (first.due, first.is_held_up, first.delay) == (6.0, True, 1.0)
    assert (second.due, second.is_held_up, second.delay) == (20.0, False, 1.0)


def test_the_most_bytes_in_a_second_are_found_wherever_they_are():
    sent = [0, 100, 200, 1200, 2200, 2300, 2300]
    samples = [Sample(0.5 * i, (number, 0)) for i, number in enumerate(sent)]
    assert most_in_a_second(samples, 0) == 2000.0 and most_in_a_second(samples, 1) == 0.0
    assert most_in_a_second(samples, 0, window=2.0) == 1100.0


def test_the_end_of_a_silence_is_when_tiles_flow_again():
    sent = [0, 9000, 10000, 10100, 10200, 11000, 16000, 20000]
    samples = [Sample(float(i), (number, 0)) for i, number in enumerate(sent)]
    assert flows_again(samples, 1.5) == 6.0


def test_quantiles_of_delays_tell_of_infinite_ones():
    assert quantiles_of([0.0] * 18 + [3.14159, np.inf, np.inf]) == [0.0, 3.1, None]
    assert quantiles_of([np.inf]) == [None, None, None]


def test_distortions_tell_of_tiles_that_never_came():
    assert distortions_of(np.array([0.1] * 19 + [np.inf, np.inf])) == [0.1, None]
    assert judged([]) == {"tiles": 0}


def test_a_report_counts_complete_and_fine_tiles():
    tile = PassedTile(TileKey(0, 0), np.zeros(3), content(), content())
    histories = ([(1.0, content())], [(9.0, content())], [(1.0, content(shift=0.45))], [])
    found = judged([judge_tile(tile, history, 0.0, 5.0) for history in histories])
    assert (found["tiles"], found["absent"]) == (4, 2)
    assert (found["complete_in_time"], found["fine_in_time"]) == (0.25, 0.5)  # 0.45 m: near, yet not complete
    assert (found["complete_at_the_end"], found["fine_at_the_end"]) == (0.5, 0.75)


def test_sessions_of_an_encoder_are_added_up():
    sessions = {
        "a": {"encoded": "3", "level_0": "2 codes, 400 bytes, 0.2 m (95 %: 0.3)", "tiles": "5"},
        "b": {"encoded": "4", "level_0": "1 codes, 100 bytes", "level_1": "1 codes, 900 bytes"},
    }
    expected = {"encoded": "7 codes", "level_0": "3 codes, 500 bytes", "level_1": "1 codes, 900 bytes"}
    assert summed(sessions) == expected


def test_the_table_of_a_page_is_written_anew(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- results: begin -->\nold\n<!-- results: end -->\nb\n")
    write_between_marks(page, "| new |")
    assert page.read_text() == "a\n<!-- results: begin -->\n\n| new |\n\n<!-- results: end -->\nb\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="expected both"):
        write_between_marks(page, "x")


def test_rows_of_clouds_stay_where_they_are_not_measured_again(tmp_path):
    assert clouds_before(tmp_path / "none.json") == []
    (tmp_path / "link.json").write_text('{"runs": [], "clouds": [{"codec": "raw"}]}')
    assert clouds_before(tmp_path / "link.json") == [{"codec": "raw"}]
