# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two live register nodes on two robots: each sends its map as a tile, and each finds the other's map in its own."""

import numpy as np
import pytest

pytest.importorskip("rclpy")
from driven_robot import DrivenRobot, true_pose  # noqa: E402
from live_node import SpinningNode  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kpconv_ros.nodes.map_tiles import MapView, tile_message  # noqa: E402
from kpconv_ros.nodes.pose_msg import matrix_of_pose  # noqa: E402
from kpconv_ros.nodes.qos import latched_qos  # noqa: E402
from kpconv_ros.nodes.register_node import RegisterNode  # noqa: E402
from kpconv_ros.registration.map_tile import DESCRIPTOR_SIZE, MapTile, pack_tile  # noqa: E402

pytestmark = pytest.mark.ros
AHEAD = 24  # scans that the second robot begins later on the same street: 12 m


def start_robot(context, namespace, first, remappings=()):
    """A register node, and a robot that has driven 40 scans from ``first`` on."""
    arguments = ["--ros-args", *(word for pair in remappings for word in ("-r", pair))]
    overrides = [Parameter("tile_period", value=1.0), Parameter("odom_frame", value=f"{namespace}/odom")]
    node = SpinningNode(
        RegisterNode(context=context, namespace=namespace, parameter_overrides=overrides, cli_args=arguments)
    )
    robot = DrivenRobot(context, namespace)
    robot.wait_until_heard()
    robot.index = first
    return node, robot


@pytest.fixture(scope="module")
def robots(context):
    """Two robots that have driven; the first hears the tiles of the second."""
    heard = "~/input/map_tile:=/behind/register/output/map_tile"
    nodes_and_robots = [start_robot(context, "ahead", AHEAD, [heard]), start_robot(context, "behind", 0)]
    for _, robot in nodes_and_robots:
        robot.last = robot.drive(40)[-1]
    yield [robot for _, robot in nodes_and_robots]
    for node, robot in nodes_and_robots:
        robot.stop()
        node.stop()


@pytest.fixture(scope="module")
def tiles(robots):
    """The tile of each robot, heard by one who came late."""
    from kpconv_ros.msg import MapTile as MapTileMessage

    topics = [robot.listen_to(MapTileMessage, "map_tile", latched_qos()) for robot in robots]

    def last_tile(robot, topic):
        return robot.wait_for(topic, lambda message: message.header.stamp == robot.last.header.stamp)

    return [last_tile(robot, topic) for robot, topic in zip(robots, topics)]


def register(robot, tile=None):
    from kpconv_ros.srv import RegisterMap

    request = RegisterMap.Request() if tile is None else RegisterMap.Request(tile=tile)
    return robot.ask(RegisterMap, f"{robot.of_node}/register_map", request)


def assert_found(answer, T_this_other):
    assert answer.success, answer.message
    error = np.linalg.inv(T_this_other) @ matrix_of_pose(
        answer.transform.pose.position, answer.transform.pose.orientation
    )
    assert np.linalg.norm(error[:3, 3]) < 0.3
    assert np.degrees(np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1))) < 1.0


def test_a_tile_is_at_most_four_kilobytes_and_says_whose_it_is(tiles):
    for tile, namespace in zip(tiles, ("ahead", "behind")):
        assert len(serialize_message(tile)) <= 4096
        assert tile.sender == f"/{namespace}/register" and tile.header.frame_id == f"{namespace}/odom"
        assert tile.num_points > 50 and tile.radius > 20.0


def test_each_robot_finds_the_others_map_from_the_tile_in_the_request(robots, tiles):
    answers = [register(robots[0], tiles[1]), register(robots[1], tiles[0])]
    behind_in_ahead = np.linalg.inv(true_pose(AHEAD))
    assert_found(answers[0], behind_in_ahead)
    assert_found(answers[1], true_pose(AHEAD))
    assert (answers[0].header.frame_id, answers[0].child_frame_id) == ("ahead/odom", "behind/odom")
    assert 0.15 < answers[0].fitness <= 1.0 and answers[0].num_inliers > 10
    deviations = np.sqrt(np.diag(answers[0].transform.covariance.reshape(6, 6)))
    assert (deviations > 0.0).all() and (deviations[:3] < 0.3).all()


def test_a_request_without_a_tile_takes_the_one_that_was_heard(robots, tiles):
    assert_found(register(robots[0]), np.linalg.inv(true_pose(AHEAD)))


def test_without_any_tile_the_answer_says_where_one_was_expected(robots):
    answer = register(robots[1])
    assert not answer.success and "heard on /behind/register/input/map_tile" in answer.message


def test_a_damaged_tile_is_refused_with_its_reason_and_scans_go_on(robots, tiles):
    from kpconv_ros.msg import MapTile as MapTileMessage

    data = bytearray(tiles[0].data)
    data[100] ^= 1
    answer = register(robots[1], MapTileMessage(header=tiles[0].header, data=bytes(data)))
    assert not answer.success and "expected the checksum" in answer.message
    assert robots[1].drive(1)


def test_the_map_of_another_place_is_not_found(robots):
    random = np.random.default_rng(0)
    points = random.uniform(-40.0, 40.0, (200, 3)) * (1.0, 1.0, 0.1)
    descriptors = random.integers(-60, 60, (200, DESCRIPTOR_SIZE)).astype(np.int8)
    answer = register(robots[1], elsewhere(pack_tile(MapTile(points, descriptors))))
    assert not answer.success and answer.message.startswith("not found: only")


def elsewhere(data, sender="/elsewhere"):
    from kpconv_ros.msg import MapTile as MapTileMessage

    view = MapView(np.zeros((1, 3)), np.zeros(3), 40.0, Header(frame_id="elsewhere"))
    return tile_message(MapTileMessage, data, view, sender)


def test_names_that_do_not_fit_into_four_kilobytes_are_refused():
    tile = MapTile(np.random.default_rng(0).normal(size=(212, 3)), np.zeros((212, DESCRIPTOR_SIZE), np.int8))
    assert len(serialize_message(elsewhere(pack_tile(tile)))) <= 4096
    with pytest.raises(ValueError, match="expected at most 4096"):
        elsewhere(pack_tile(tile), sender="/a" * 100)


def test_before_the_first_scan_there_is_no_map(robots, tiles):
    robots[1].begin()
    answer = register(robots[1], tiles[0])
    assert not answer.success and answer.message == "there is no map yet"
