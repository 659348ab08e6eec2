# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is drawn, read back from the file that Rerun wrote."""

import numpy as np
import pytest

pytest.importorskip("rerun")
from live_view import free_port, positions_in, shown_in, times_drawn  # noqa: E402

from kpconv_ros.viewing.config import ViewConfig  # noqa: E402
from kpconv_ros.viewing.error import ViewError  # noqa: E402
from kpconv_ros.viewing.scene import NO_LABEL, UNLABELLED_COLOR, Scene, split_by_label  # noqa: E402

NAMES, COLORS = {0: "unlabeled", 1: "road", 2: "traffic/sign"}, {0: (0, 0, 0), 1: (255, 0, 255), 2: (255, 255, 0)}
POINTS = np.arange(30, dtype=np.float32).reshape(10, 3)
LABELS = np.array([1, 2, 1, 1, 0, 2, 1, 1, 0, 1], np.uint8)


def pose_at(x):
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


@pytest.fixture
def make_scene(tmp_path):
    """A scene that writes a file, and what that shows once it is closed."""

    def make(**settings):
        path = tmp_path / "seen.rrd"
        scene = Scene(ViewConfig(port=free_port(), save=str(path), **settings))
        scene.set_classes(NAMES, COLORS)
        return scene, lambda: (scene.close(), shown_in(path))[1]

    return make


def test_a_scan_becomes_one_cloud_for_each_class_where_its_sensor_was(make_scene):
    scene, end = make_scene()
    points = POINTS.copy()
    points[3] = np.nan
    scene.draw_scan(points, LABELS, pose_at(5.0), "odom")
    assert [(entry.label, entry.name, entry.num_points) for entry in scene.classes()] == [
        (0, "unlabeled", 2),
        (1, "road", 5),
        (2, "traffic/sign", 2),
    ]
    assert [entry.color for entry in scene.classes()] == [UNLABELLED_COLOR, COLORS[1], COLORS[2]]
    shown = end()
    np.testing.assert_array_equal(positions_in(shown, "/world/scan/road"), points[[0, 2, 6, 7, 9]])
    np.testing.assert_array_equal(positions_in(shown, r"/world/scan/traffic\/sign"), points[[1, 5]])
    assert shown["/world/scan/road"]["colors"] == [0xFF00FFFF]
    assert shown["/world/scan"]["translation"] == [[5.0, 0.0, 0.0]]


def test_a_hidden_class_is_gone_from_every_layer_until_it_is_shown_again(make_scene):
    scene, end = make_scene()
    scene.draw_scan(POINTS, LABELS, pose_at(0.0), "odom")
    scene.draw_map("map", POINTS, LABELS, "odom")
    for label in (1, 2):
        scene.set_hidden(label, True)
    scene.draw_scan(POINTS + 1, LABELS, pose_at(1.0), "odom")  # it stays hidden in what comes
    assert [(entry.label, entry.hidden) for entry in scene.classes()] == [(0, False), (1, True), (2, True)]
    scene.set_hidden(2, False)
    shown = end()
    for layer in ("scan", "map"):
        assert len(positions_in(shown, f"/world/{layer}/road")) == 0
        assert len(positions_in(shown, f"/world/{layer}/unlabeled")) == 2
    np.testing.assert_array_equal(positions_in(shown, r"/world/scan/traffic\/sign"), POINTS[[1, 5]] + 1)


def test_what_is_drawn_takes_over_the_names_and_colours_of_another_model(make_scene):
    scene, end = make_scene()
    scene.draw_map("map", POINTS, LABELS, "odom")
    scene.set_hidden(2, True)
    scene.set_classes({**NAMES, 1: "street"}, {**COLORS, 1: (1, 2, 3)})
    shown = end()
    assert shown["/world/map/road"] == {} and shown[r"/world/map/traffic\/sign"] == {}
    np.testing.assert_array_equal(positions_in(shown, "/world/map/street"), POINTS[LABELS == 1])
    assert shown["/world/map/street"]["colors"] == [0x010203FF]


def test_a_class_that_a_scan_lacks_does_not_stay_from_the_last_one(make_scene):
    scene, end = make_scene()
    scene.draw_scan(POINTS, LABELS, pose_at(0.0), "odom")
    scene.draw_scan(POINTS[:1], LABELS[:1], pose_at(0.0), "odom")
    scene.draw_map("map", np.zeros((0, 3), np.float32), np.zeros(0, np.uint8), "odom")
    shown = end()
    assert len(positions_in(shown, r"/world/scan/traffic\/sign")) == 0
    assert len(positions_in(shown, "/world/scan/road")) == 1


def test_big_clouds_are_thinned_evenly(make_scene):
    scene, end = make_scene(scan_points=100, map_points=100)
    points = np.zeros((250, 3), np.float32)
    points[:, 0] = np.arange(250)
    scene.draw_scan(points, None, pose_at(0.0), "odom")
    assert [(entry.label, entry.num_points) for entry in scene.classes()] == [(NO_LABEL, 84)]
    np.testing.assert_array_equal(positions_in(end(), "/world/scan/points")[:, 0], np.arange(0, 250, 3))


def test_the_way_grows_by_steps_and_keeps_the_last_places(make_scene):
    scene, end = make_scene(path_points=10)
    for x in (*np.arange(0, 15.0), 14.1, 15.0):
        scene.draw_scan(POINTS, LABELS, pose_at(x), "odom")
    strip = np.array(end()["/world/way"]["strips"][0])
    np.testing.assert_array_equal(strip[:, 0], np.arange(6, 16))


def test_a_jump_begins_a_new_way(make_scene):
    scene, end = make_scene()
    for x in (500.0, 501.0, 0.0, 1.0):
        scene.draw_scan(POINTS, LABELS, pose_at(x), "odom")
    np.testing.assert_array_equal(np.array(end()["/world/way"]["strips"][0])[:, 0], [0.0, 1.0])


def test_what_cannot_be_laid_on_the_rest_is_refused(make_scene):
    scene, end = make_scene()
    scene.draw_scan(POINTS, LABELS, None, "lidar")
    scene.draw_map("map", POINTS, LABELS, "odom")  # a map knows better than a scan without a pose
    with pytest.raises(ViewError, match="frame 'lidar' without a pose, expected one in 'odom'"):
        scene.draw_scan(POINTS, LABELS, None, "lidar")
    with pytest.raises(ViewError, match="got a cloud in frame 'map', expected 'odom'"):
        scene.draw_map("received", POINTS, LABELS, "map")
    scene.draw_scan(POINTS, LABELS, pose_at(0.0), "map")  # and a pose better than a map
    scene.draw_map("received", POINTS, LABELS, "map")
    shown = end()
    assert shown["/world/map/road"] == {} and len(positions_in(shown, "/world/received/road")) == 6


def test_what_is_seen_is_drawn_again_for_a_browser_that_comes(make_scene, tmp_path):
    scene, end = make_scene()
    scene.draw_scan(POINTS, LABELS, pose_at(5.0), "lidar")
    scene.draw_scan(POINTS[:1], LABELS[:1], pose_at(5.0), "odom")
    scene.draw_map("map", POINTS, LABELS, "odom")
    scene.set_hidden(2, True)
    scene.draw_text("all well")
    before = len(scene.classes())
    scene.redraw()
    assert len(scene.classes()) == before
    shown = end()
    drawn = times_drawn(tmp_path / "seen.rrd")
    assert drawn["/world/map/road"] == drawn["/world/way"] - 1 == drawn["/diagnostics"] == 2
    assert drawn["/world/scan/unlabeled"] == 1  # of the frame before
    assert shown[r"/world/map/traffic\/sign"] == {}


def test_curves_and_texts_are_drawn(make_scene):
    scene, end = make_scene()
    scene.draw_number("latency/segment/total", 41.5)
    scene.draw_text("**all well**")
    shown = end()
    assert shown["/latency/segment/total"]["scalars"] == [41.5]
    assert shown["/diagnostics"]["text"] == ["**all well**"]


def test_a_file_in_no_folder_is_refused(tmp_path):
    with pytest.raises(ViewError, match="expected a file in a folder that exists"):
        Scene(ViewConfig(port=free_port(), save=str(tmp_path / "nowhere" / "seen.rrd")))


def test_points_are_split_as_masks_would():
    random = np.random.default_rng(0)
    points, labels = random.random((500, 3)).astype(np.float32), random.integers(-1, 5, 500)
    parts = split_by_label(points, labels)
    assert set(parts) == set(range(-1, 5))
    for label, part in parts.items():
        np.testing.assert_array_equal(part, points[labels == label])
    assert split_by_label(points[:0], labels[:0]) == {}
