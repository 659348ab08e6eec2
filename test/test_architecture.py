# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rooms of the package import each other in one direction only."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "kpconv_ros"

# room -> the rooms it may import besides itself
MAY_IMPORT: dict[str, set[str]] = {
    "geometry": {"kernels"},
    "kernels": set(),
    "layers": {"geometry", "kernels", "config_io"},
    "networks": {"layers", "geometry", "kernels", "config_io", "codec"},  # the size of a tile
    "losses": {"geometry"},
    "mapping": {"geometry", "kernels", "config_io"},
    "registration": {"geometry", "kernels", "config_io"},
    "codec": {"geometry", "kernels"},
    "config_io": set(),
    "model_folder": {"config_io"},
    "checkpoint": {"model_folder", "networks", "layers", "mapping", "config_io"},
    "checkpoint_import": {"checkpoint", "networks", "config_io"},
    "shape_checkpoint": {"checkpoint", "model_folder", "networks", "config_io", "data"},
    "sampling_checkpoint": {"model_folder", "networks", "config_io", "data"},
    "neural_qaad_checkpoint": {"model_folder", "networks", "config_io"},
    "map_codec_checkpoint": {"model_folder", "networks", "codec", "config_io"},
    "patch_sampler_checkpoint": {"model_folder", "networks", "layers", "config_io"},
    "export": {"checkpoint", "model_folder", "networks", "mapping", "geometry", "data", "config_io", "pipelines"}
    | {"shape_checkpoint"},
    "data": {"geometry", "kernels", "config_io", "codec"},  # tiles of maps are its unit
    "training": {"data", "losses", "networks", "layers", "mapping", "geometry", "kernels", "config_io", "checkpoint"}
    # metrics, and the voting test, of trainings that are compared
    | {
        "model_folder",
        "shape_checkpoint",
        "sampling_checkpoint",
        "patch_sampler_checkpoint",
        "neural_qaad_checkpoint",
        "map_codec_checkpoint",
        "codec",
        "registration",
        "evaluation",
        "pipelines",
    },
    "pipelines": {"mapping", "networks", "geometry", "kernels", "codec", "data", "config_io", "checkpoint"}
    | {"layers", "shape_checkpoint", "sampling_checkpoint", "patch_sampler_checkpoint", "registration"}
    | {"map_codec_checkpoint"},
    "evaluation": {"pipelines", "data", "geometry", "config_io", "checkpoint", "model_folder", "shape_checkpoint"}
    | {"sampling_checkpoint", "networks", "registration"}  # samplers are compared inside their tasks
    | {"codec", "mapping", "map_codec_checkpoint"},  # tiles that came over a link are compared with those of the map
    "viewing": {"data", "config_io"},
    "nodes": {"pipelines", "mapping", "registration", "codec", "data", "config_io", "checkpoint", "viewing"}
    | {"model_folder", "msg", "srv"},  # generated
    "cli": {"nodes", "pipelines", "training", "evaluation", "data", "checkpoint_import", "export"},
}
ROS = {
    *("rclpy", "ament_index_python", "builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "lifecycle_msgs"),
    *("nav_msgs", "rcl_interfaces", "rosgraph_msgs", "sensor_msgs", "sensor_msgs_py", "std_msgs", "std_srvs"),
    *("tf2_msgs", "tf2_ros", "tf_transformations", "visualization_msgs", "launch", "launch_ros"),
}
ROOMS = sorted(
    path
    for path in PACKAGE.iterdir()
    if (path / "__init__.py").exists() or (path.suffix == ".py" and path.stem != "__init__")
)


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of every import of a file, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(PACKAGE.parent).parent.parts[: 1 - node.level or None] if node.level else ()
            module = ".".join((*above, *filter(None, [node.module])))
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def files_of(room: Path) -> list[Path]:
    """Return the source files of a room."""
    return sorted(room.rglob("*.py")) if room.is_dir() else [room]


def wrong_imports(room: Path, is_wrong: Callable[[str], bool]) -> str:
    """List the imports of a room that break a rule, one a line."""
    return "\n".join(
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in files_of(room)
        for line, name in imports_of(path)
        if is_wrong(name)
    )


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.stem)
def test_a_room_imports_only_rooms_below_it(room: Path) -> None:
    assert room.stem in MAY_IMPORT, f"{room.stem} is no room of this package"
    allowed = MAY_IMPORT[room.stem] | {room.stem}
    wrong = wrong_imports(room, lambda name: name.startswith("kpconv_ros.") and name.split(".")[1] not in allowed)
    assert not wrong, wrong


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.stem)
def test_only_nodes_import_ros(room: Path) -> None:
    wrong = wrong_imports(room, lambda name: name.split(".")[0] in ROS and room.stem != "nodes")
    assert not wrong, wrong
