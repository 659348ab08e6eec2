# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live node: it labels every point of good scans, says what is wrong with bad ones, and goes on."""

import numpy as np
import pytest

pytest.importorskip("rclpy")
from rclpy.parameter import Parameter  # noqa: E402
from std_msgs.msg import Float32  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402

from kpconv_ros.data.clouds import read_cloud  # noqa: E402
from kpconv_ros.data.pointcloud2 import pack_points, read_points  # noqa: E402
from kpconv_ros.nodes.pointcloud2_msg import cloud_message, message_bytes, packed_message  # noqa: E402

pytestmark = pytest.mark.ros
COLORED, FILTERED, MAP, INFO = (f"/segment/output/{name}" for name in ("colored", "filtered", "map", "label_info"))


@pytest.fixture(scope="module")
def segment(start_segment, probe):
    """The node, which has heard the probe."""
    node = start_segment(pose_source="odometry", map_period=0.1, odometry_tolerance=0.02)
    probe.wait_until_heard()
    return node


@pytest.fixture
def street(probe, segment, make_street):
    """Makes good messages with the next stamp."""
    return lambda **changes: make_street(probe.next_stamp(), **changes)


def test_every_point_gets_a_label_and_keeps_its_fields(probe, street):
    sent = probe.send(street())
    labelled = probe.labels_of(sent)
    assert labelled.header == sent.header
    assert (labelled.height, labelled.width) == (sent.height, sent.width)
    before, after = read_points(sent), read_points(labelled)
    for name in ("x", "y", "z", "intensity", "ring"):
        np.testing.assert_array_equal(after.points[name], before.points[name])
    assert set(np.unique(after.points["label"])) <= {1, 2, 3}
    assert ((after.points["confidence"] > 0) & (after.points["confidence"] <= 1)).all()


def test_colored_and_filtered_clouds_belong_to_the_labels(probe, segment, street):
    assert segment.node.set_parameters([Parameter("classes_kept", value=["car"])])[0].successful
    sent = probe.send(street())
    labels = read_points(probe.labels_of(sent)).points["label"]
    filtered = probe.wait_for(FILTERED, lambda message: message.header.stamp == sent.header.stamp)
    colored = probe.wait_for(COLORED, lambda message: message.header.stamp == sent.header.stamp)
    assert filtered.width == (labels == 2).sum()
    assert [field.name for field in colored.fields] == ["x", "y", "z", "rgb"] and colored.width == len(labels)
    assert segment.node.set_parameters([Parameter("classes_kept", value=[""])])[0].successful


def test_an_unknown_class_in_the_filter_is_refused(segment):
    result = segment.node.set_parameters([Parameter("classes_kept", value=["unicorn"])])[0]
    assert not result.successful and "unicorn" in result.reason


def test_the_map_is_in_the_odometry_frame_and_reaches_late_joiners(probe, street):
    sent = probe.send(street())
    voted = probe.wait_for(MAP, lambda message: message.header.stamp == sent.header.stamp)
    assert voted.header.frame_id == "odom" and voted.width > 10
    assert [field.name for field in voted.fields] == ["x", "y", "z", "label", "confidence", "rgb"]


def test_classes_can_be_left_out_of_the_map(probe, segment, street):
    sent = probe.send(street())
    whole = read_points(probe.wait_for(MAP, lambda message: message.header.stamp == sent.header.stamp)).points["label"]
    frequent = ("road", "car", "tree")[np.bincount(whole, minlength=4)[1:].argmax()]
    assert segment.node.set_parameters([Parameter("map_classes_removed", value=[frequent])])[0].successful
    sent = probe.send(street())
    rest = probe.wait_for(MAP, lambda message: message.header.stamp == sent.header.stamp)
    assert rest.width < len(whole) and ("unlabeled", "road", "car", "tree").index(frequent) not in (
        read_points(rest).points["label"] if rest.width else []
    )
    assert not segment.node.set_parameters([Parameter("map_classes_removed", value=["unicorn"])])[0].successful
    assert segment.node.set_parameters([Parameter("map_classes_removed", value=[""])])[0].successful


def test_the_names_of_the_labels_reach_late_joiners(probe, segment):
    from kpconv_ros.msg import LabelInfo
    from kpconv_ros.nodes.qos import latched_qos

    probe.listen(LabelInfo, INFO, latched_qos())
    info = probe.wait_for(INFO, lambda message: True)
    assert list(info.names) == ["unlabeled", "road", "car", "tree"] and list(info.labels) == [0, 1, 2, 3]


def test_timings_are_published(probe, street):
    names = ("preprocess", "inference", "postprocess", "total")
    topics = [f"/segment/debug/{name}_ms" for name in names]
    for topic in topics:
        probe.listen(Float32, topic)
    probe.wait_until_heard()
    probe.send(street())
    times = [probe.wait_for(topic, lambda message: True).data for topic in topics]
    assert times[-1] > 0


def test_diagnostics_count_what_came_and_went(probe, street):
    probe.labels_of(probe.send(street()))
    status = probe.wait_for("/diagnostics", lambda message: message.status[0].message == "segmenting").status[0]
    values = {value.key: value.value for value in status.values}
    assert values["pose_source"] == "odometry" and int(values["processed"]) > 0 and int(values["map_voxels"]) > 0
    assert "reliable" in values["input"]


def test_organised_clouds_keep_their_shape(probe, street):
    message = street(num_points=600)
    message.height, message.width, message.row_step = 20, 30, 30 * message.point_step
    labelled = probe.labels_of(probe.send(message))
    assert (labelled.height, labelled.width) == (20, 30)


def test_padded_rows_are_taken(probe, street):
    message = street(num_points=600)
    rows = np.frombuffer(message.data, np.uint8).reshape(20, -1)
    padded = np.pad(rows, ((0, 0), (0, 12)))
    message.height, message.width, message.row_step = 20, 30, padded.shape[1]
    message.data = message_bytes(padded)
    after = read_points(probe.labels_of(probe.send(message)))
    np.testing.assert_array_equal(after.xyz, read_points(message).xyz)


def test_big_endian_clouds_with_double_coordinates_are_taken(probe, street):
    message = street()
    points = read_points(message).points
    dtype = np.dtype([("t", ">f8"), ("x", ">f8"), ("y", ">f8"), ("z", ">f8"), ("i", ">u2")])
    swapped = np.zeros(len(points), dtype)
    for axis in "xyz":
        swapped[axis] = points[axis]
    labelled = probe.labels_of(probe.send(cloud_message(swapped, message.header)))
    after = read_points(labelled)
    assert labelled.is_bigendian
    np.testing.assert_allclose(after.xyz, read_points(message).xyz)


# Bad input ----------------------------------------------------------------------------------------------------------


def test_truncated_data_is_refused_with_both_sizes(probe, street):
    message = street()
    message.data = message.data[:-7]
    probe.send(message)
    probe.wait_for_error(f"got {len(message.data)} bytes of data, expected {len(message.data) + 7}")
    probe.assert_goes_on()


def test_a_wrong_point_step_is_refused(probe, street):
    message = street()
    message.point_step += 3
    probe.send(message)
    probe.wait_for_error(f"point_step {message.point_step}")
    probe.assert_goes_on()


def test_fields_beyond_the_point_step_are_refused(probe, street):
    message = street()
    message.fields[0].offset = 1000
    probe.send(message)
    probe.wait_for_error("field 'x': got its end at byte 1004")
    probe.assert_goes_on()


def test_a_cloud_without_z_is_refused_by_its_fields(probe, street):
    message = street()
    x = np.zeros(5, np.float32)
    probe.send(packed_message(pack_points({"x": x, "y": x, "w": x}), message.header, True))
    probe.wait_for_error("expected x, y, z of one number each: ['z'] missing")
    probe.assert_goes_on()


def test_a_cloud_without_the_intensity_the_model_needs_is_refused(probe, street):
    message = street()
    x = np.zeros(5, np.float32)
    probe.send(packed_message(pack_points({"x": x, "y": x, "z": x}), message.header, True))
    probe.wait_for_error("expected an intensity")
    probe.assert_goes_on()


def test_zero_points_give_an_empty_labelled_cloud(probe, street):
    labelled = probe.labels_of(probe.send(street(points=np.zeros((0, 3), np.float32))))
    assert labelled.width * labelled.height == 0 and len(labelled.data) == 0
    probe.assert_goes_on()


def test_points_that_are_all_nan_get_label_0(probe, street):
    labelled = probe.labels_of(probe.send(street(points=np.full((50, 3), np.nan, np.float32))))
    points = read_points(labelled).points
    assert (points["label"] == 0).all() and (points["confidence"] == 0).all() and not labelled.is_dense
    probe.assert_goes_on()


def test_single_nan_and_infinite_points_get_label_0_and_the_others_theirs(probe, street):
    message = street()
    points = read_points(message).xyz.copy()
    points[3], points[7] = np.nan, np.inf
    labels = read_points(probe.labels_of(probe.send(street(points=points)))).points["label"]
    assert np.flatnonzero(labels == 0).tolist() == [3, 7]


def test_an_absurd_width_is_refused_without_taking_memory(probe, street):
    message = street()
    message.width = 4_000_000_000
    probe.send(message)
    probe.wait_for_error("width 4000000000")
    probe.assert_goes_on()


def test_an_unknown_frame_is_refused_with_what_was_expected(probe, street):
    probe.send(street(frame_id="left_foot"))
    probe.wait_for_error("got a cloud in frame 'left_foot', but the odometry is that of 'lidar'")
    probe.assert_goes_on()


def test_a_scan_without_odometry_is_refused(probe, street):
    probe.next_stamp()
    probe.next_stamp()
    probe.send(street(), with_odometry=False)
    probe.wait_for_error("no odometry within 0.02 s")
    probe.assert_goes_on()


def test_stamps_going_back_reset_the_map(probe, street):
    def resets(message):
        return int({value.key: value.value for value in message.status[0].values}["resets"])

    probe.labels_of(probe.send(street()))
    before = max(map(resets, probe.heard["/diagnostics"]), default=0)
    probe.go_back(50.0)
    probe.assert_goes_on()
    probe.wait_for("/diagnostics", lambda message: resets(message) == before + 1)
    probe.assert_goes_on()


def test_two_million_points_are_labelled(probe, street):
    labelled = probe.labels_of(probe.send(street(num_points=2_000_000)), timeout=60.0)
    assert labelled.width == 2_000_000
    probe.assert_goes_on()


def test_an_exception_in_the_pipeline_is_told_and_the_node_goes_on(probe, segment, street):
    process = segment.node._segmenter.process_cloud

    def fail(*arguments):
        segment.node._segmenter.process_cloud = process
        raise RuntimeError("the scan was not read")

    segment.node._segmenter.process_cloud = fail
    probe.send(street())
    probe.wait_for_error("RuntimeError: the scan was not read")
    probe.assert_goes_on()


# Services -----------------------------------------------------------------------------------------------------------


def test_reset_empties_the_map_and_says_so(probe, segment):
    probe.assert_goes_on()
    before = len(probe.heard[MAP])
    assert probe.ask(Trigger, "/segment/reset", Trigger.Request()).success
    probe.wait_for(MAP, lambda heard: heard.width == 0 and any(heard is late for late in probe.heard[MAP][before:]))
    probe.assert_goes_on()


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_the_map_is_saved(probe, segment, tmp_path, suffix):
    from kpconv_ros.srv import SaveMap

    probe.assert_goes_on()
    path = tmp_path / f"map{suffix}"
    answer = probe.ask(SaveMap, "/segment/save_map", SaveMap.Request(path=str(path)))
    assert answer.success, answer.message
    cloud = read_cloud(path)
    assert len(cloud.points) == answer.num_voxels > 10
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("name", "told"), [("map.txt", "expected .ply or .pcd"), ("absent/map.ply", "absent")])
def test_a_map_that_cannot_be_saved_is_told(probe, segment, tmp_path, name, told):
    from kpconv_ros.srv import SaveMap

    answer = probe.ask(SaveMap, "/segment/save_map", SaveMap.Request(path=str(tmp_path / name)))
    assert not answer.success and told in answer.message
    probe.assert_goes_on()


def test_a_disabled_node_labels_nothing_until_it_is_enabled(probe, segment, street):
    assert probe.ask(SetBool, "/segment/set_enabled", SetBool.Request(data=False)).success
    unheard = probe.send(street())
    probe.wait_for("/diagnostics", lambda message: message.status[0].message == "disabled")
    assert probe.ask(SetBool, "/segment/set_enabled", SetBool.Request(data=True)).success
    probe.assert_goes_on()
    assert all(message.header.stamp != unheard.header.stamp for message in probe.heard["/segment/output/labels"])


def test_a_live_time_budget_reaches_the_pipeline(segment):
    assert segment.node.set_parameters([Parameter("time_budget", value=0.03)])[0].successful
    assert segment.node._segmenter.config.time_budget == 0.03
    assert not segment.node.set_parameters([Parameter("time_budget", value=-1.0)])[0].successful
