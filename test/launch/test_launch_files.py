# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch files: they parse everywhere, and make what they say where `launch` is installed (a ROS 2 distribution)."""

import argparse
import ast

import pytest
import yaml

from kpconv_ros.evaluation.replay.options import add_arguments, options_of
from kpconv_ros.nodes.view_topics import TOPICS

NODE_FILES = ("segment", "register", "demo", "transmit", "receive", "perception")
FILES = (*NODE_FILES, "replay")


@pytest.fixture(params=FILES)
def path(request, repository):
    return repository / "launch" / f"{request.param}.launch.py"


def arguments_of(path):
    """The table of arguments in a launch file, without importing it."""
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "ARGUMENTS":
            return {key.value: value.elts for key, value in zip(statement.value.keys, statement.value.values)}
    raise AssertionError(f"{path}: no ARGUMENTS")


def test_it_parses_and_every_argument_has_a_default_and_a_description(path):
    for name, (default, text) in arguments_of(path).items():
        assert isinstance(default, (ast.Constant, ast.Call)), name
        assert isinstance(text, ast.Constant) and len(text.value) > 5, name


def test_simulated_time_is_off_by_default(path):
    assert arguments_of(path)["use_sim_time"][0].value == "false"


def test_the_live_view_is_off_by_default_and_is_started_by_the_shared_function(path):
    arguments, tree = arguments_of(path), ast.parse(path.read_text())
    assert arguments["viewer"][0].value == "false" and "viewer_params_file" in arguments
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "viewer"]
    assert len(calls) == (0 if path.name.startswith(("demo", "perception")) else 1)  # these pass it on to segment
    assert {keyword.arg for call in calls for keyword in call.keywords} <= set(TOPICS)


def test_every_file_of_config_that_it_names_exists(path, repository):
    names = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    for name in names:
        if isinstance(name, str) and name.endswith((".yaml", ".rviz", ".xml")):
            assert (repository / "config" / name).is_file(), name


@pytest.mark.parametrize(("file", "node"), [("segment", "segment"), ("register", "register"), ("transmit", "encode")])
def test_arguments_that_are_passed_on_are_parameters_of_the_node(repository, file, node):
    tree = ast.parse((repository / "launch" / f"{file}.launch.py").read_text())
    passed_on = next(
        ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "PASSED_ON"
    )
    parameters = yaml.safe_load((repository / "config" / f"{node}.yaml").read_text())[f"/**/{node}"]["ros__parameters"]
    assert set(passed_on) <= set(parameters)


def test_what_the_whole_sets_of_other_files_are_their_arguments(repository):
    launch = repository / "launch"
    tree = ast.parse((launch / "perception.launch.py").read_text())
    shared = {
        statement.targets[0].id: ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign) and statement.targets[0].id in ("SHARED", "SOURCES")
    }
    own = set(arguments_of(launch / "perception.launch.py"))
    for name in ("segment", "register", "transmit", "receive"):
        function = next(node for node in ast.walk(tree) if getattr(node, "name", "") == f"{name}_arguments")
        dicts = [node for node in ast.walk(function) if isinstance(node, ast.Dict)]
        keys = {key.value for node in dicts for key in node.keys if key}
        words = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        passed_on = {argument for group in words & set(shared) for argument in shared[group]}
        assert len(keys) >= 2 and keys | passed_on <= set(arguments_of(launch / f"{name}.launch.py")), name
        assert passed_on <= own


def test_segment_and_register_cannot_be_told_to_wait_for_each_other():
    launching = pytest.importorskip("kpconv_ros.nodes.launching")
    launching.check_registration("raw", "")
    launching.check_registration("filtered", "/odom")
    for registration, odometry in (("filtered", ""), ("raw", "/odom"), ("both", "")):
        with pytest.raises(ValueError, match=f"got '{odometry}'|got '{registration}'"):
            launching.check_registration(registration, odometry)


def test_what_one_file_sets_of_another_are_its_arguments(repository):
    register = arguments_of(repository / "launch" / "register.launch.py")
    segment = ast.parse((repository / "launch" / "segment.launch.py").read_text())
    function = next(node for node in ast.walk(segment) if getattr(node, "name", "") == "register_launch")
    keys = [key.value for node in ast.walk(function) if isinstance(node, ast.Dict) for key in node.keys if key]
    passed_on = next(node.value for node in ast.walk(function) if isinstance(node, ast.Assign))
    assert len(keys) > 5 and {*keys, *ast.literal_eval(passed_on)} <= set(register)


def executables_of(description, context):
    """What launch would start, in its order."""
    to_visit, executables = [description], []
    while to_visit:
        entity = to_visit.pop(0)
        if hasattr(entity, "node_executable"):
            executables.append(entity.node_executable)
            continue
        to_visit = list(entity.visit(context) or []) + to_visit
    return executables


@pytest.mark.ros
def test_the_whole_registers_filtered_scans_with_an_odometry_of_the_robot(repository):
    launch = pytest.importorskip("launch", reason="launch is not on PyPI: needs a ROS 2 distribution")
    pytest.importorskip("launch_ros")
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    source = PythonLaunchDescriptionSource(str(repository / "launch" / "perception.launch.py"))

    def started(**arguments):
        description = IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))
        return executables_of(description, launch.LaunchContext())

    filtered = {"registration": "filtered", "moving_classes": "car", "link": "false"}
    assert started(**filtered, odometry="/wheels") == ["rviz2", "register", "rviz2", "segment"]
    with pytest.raises(ValueError, match="segment cannot wait for register"):
        started(**filtered)


@pytest.mark.ros
@pytest.mark.parametrize("name", NODE_FILES)
def test_launch_makes_its_nodes(repository, name):
    launch = pytest.importorskip("launch", reason="launch is not on PyPI: needs a ROS 2 distribution")
    pytest.importorskip("launch_ros")
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    source = PythonLaunchDescriptionSource(str(repository / "launch" / f"{name}.launch.py"))
    context = launch.LaunchContext()
    arguments = [("viewer", "true")] + ([] if name in ("transmit", "receive") else [("rviz", "false")])
    if name in ("segment", "register"):
        arguments += [("simulator", "true"), ("bag", "some.mcap")]
    if name == "register":
        arguments += [("base_frame", "base_link"), ("extrinsic", "0 0 1 0 0 0")]
    if name == "segment":
        arguments += [("odometry", "true"), ("removed_classes", "car, person")]
    if name == "perception":
        arguments += [("simulator", "true"), ("receiver", "true"), ("moving_classes", "car,person")]
    executables = executables_of(IncludeLaunchDescription(source, launch_arguments=arguments), context)
    expected = {
        "segment": ["rviz2", "segment", "view", "rviz2", "register", "simulate", "replay"],
        "register": ["rviz2", "register", "view", "simulate", "replay"],
        "demo": ["rviz2", "segment", "view", "simulate"],
        "transmit": ["encode", "view"],
        "receive": ["decode", "view"],
        "perception": ["encode", "decode", "rviz2", "segment", "rviz2", "register", "simulate"],
    }
    assert executables == expected[name]


@pytest.mark.ros
def test_replay_evaluates_as_its_arguments_say(repository):
    launching = pytest.importorskip("kpconv_ros.nodes.launching")
    arguments = arguments_of(repository / "launch" / "replay.launch.py")
    assert set(launching.EVALUATE_ARGUMENTS) <= set(arguments)
    values = {
        name: default.value if isinstance(default, ast.Constant) else "" for name, (default, _) in arguments.items()
    }
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = launching.evaluate_arguments({**values, "bag": "some.mcap", "extrinsic": "0 0 1 0 0 0", "duration": "3"})
    options = options_of(parser.parse_args(words))
    assert (str(options.bag), options.mode, options.selection.duration) == ("some.mcap", "live", 3.0)
    assert options.extrinsic == (0, 0, 1, 0, 0, 0) and options.topics == {} and options.model == "street_sim"
    with pytest.raises(ValueError, match="bag: got nothing"):
        launching.evaluate_arguments(values)
