# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""package.xml, CMakeLists.txt, setup.py, the requirements, launch and configuration files agree with each other."""

import ast
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
SETUP = (ROOT / "setup.py").read_text(encoding="utf-8")
INTERFACES = sorted(str(path.relative_to(ROOT)) for folder in ("msg", "srv") for path in (ROOT / folder).iterdir())
SCRIPTS = sorted(path.name for path in (ROOT / "scripts").iterdir())
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
YAML_FILES = sorted(path for folder in ("config", "models") for path in (ROOT / folder).rglob("*.yaml"))
COMMENTED = {".py", ".sh", ".cmake", ".msg", ".srv", ".yaml", ".rviz", ".xml", ".toml", ".txt", ".html"}
ROS_PACKAGE = re.compile(
    r"rclpy|builtin_interfaces|rcl_interfaces|std_srvs|\w+_msgs|tf2_ros|sensor_msgs_py|launch(_ros)?"
)


def names_in(section: str) -> list[str]:
    """Return the words that a CMake command gets up to its first upper-case option."""
    body = re.search(rf"{section}(.*?)\)", CMAKE, re.DOTALL)
    assert body is not None, f"CMakeLists.txt has no {section}"
    return body[1].split()


def depends() -> set[str]:
    """Return the names of every dependency in package.xml."""
    return {element.text or "" for element in MANIFEST if element.tag.endswith("depend")}


def constant_of_setup(name: str) -> str:
    """Return a string constant of setup.py."""
    found = re.search(rf'^{name} = "(.*)"$', SETUP, re.MULTILINE)
    assert found is not None, f"setup.py has no {name}"
    return found[1]


def test_names_and_versions_agree() -> None:
    assert MANIFEST.findtext("name") == constant_of_setup("NAME") == "kpconv_ros"
    assert MANIFEST.findtext("version") == constant_of_setup("VERSION")
    assert re.search(r"^project\(kpconv_ros\b", CMAKE, re.MULTILINE)
    assert (ROOT / "resource" / "kpconv_ros").exists()


def test_licence_is_apache_everywhere() -> None:
    assert MANIFEST.findtext("license") == "Apache-2.0"
    assert 'license="Apache-2.0"' in SETUP
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_cmake_builds_every_interface() -> None:
    listed = re.findall(r'"((?:msg|srv)/\w+\.(?:msg|srv))"', CMAKE)
    assert sorted(listed) == INTERFACES


def test_cmake_finds_only_declared_packages() -> None:
    assert set(re.findall(r"find_package\((\w+)", CMAKE)) <= depends()


def test_cmake_installs_every_executable() -> None:
    listed = names_in(r"install\(PROGRAMS")
    assert sorted(name for name in listed if name.startswith("scripts/")) == [f"scripts/{name}" for name in SCRIPTS]


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_executable_uses_the_python_of_the_environment(name: str) -> None:
    script = ROOT / "scripts" / name
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")
    assert script.stat().st_mode & stat.S_IXUSR


def test_every_ros_import_is_declared() -> None:
    imported = set()
    for path in (*(ROOT / "kpconv_ros").rglob("*.py"), *LAUNCH_FILES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    undeclared = {name for name in imported if ROS_PACKAGE.fullmatch(name)} - depends()
    assert not undeclared


def test_every_requirement_has_a_pinned_version() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {name.lower() for name in re.findall(r"^([\w.-]+)==", constraints, re.MULTILINE)}
    for file in ROOT.glob("requirements*.txt"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                assert re.split(r"[\[ ]", line)[0].lower() in pinned, f"{file.name}: {line} is not in constraints.txt"


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_a_launch_file_parses_and_has_its_entry_point(path: Path) -> None:
    functions = [
        node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    assert "generate_launch_description" in functions


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_yaml_file_loads_to_a_mapping(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


@pytest.mark.parametrize("path", sorted((ROOT / "config").rglob("*.xml")), ids=lambda path: path.name)
def test_an_xml_file_is_well_formed(path: Path) -> None:
    ElementTree.parse(path)


def test_every_file_that_can_have_comments_names_its_licence() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name and not name.startswith("models/")]
    checked = [path for path in paths if path.suffix in COMMENTED or path.parent.name in ("scripts", ".ci")]
    assert {path.suffix for path in checked} == {*COMMENTED, ""}
    for path in checked:
        head = path.read_text(encoding="utf-8")[:300]
        assert "SPDX-FileCopyrightText: " in head and "SPDX-License-Identifier: Apache-2.0" in head, path


@pytest.mark.ros
def test_the_install_alone_has_every_module_and_the_messages() -> None:
    site = next((ROOT / "install" / "kpconv_ros" / "lib").glob("python*/site-packages"), None)
    if site is None:
        pytest.skip("not built by make build")
    sources = {path.relative_to(ROOT) for path in (ROOT / "kpconv_ros").rglob("*.py")}
    installed = {path.relative_to(site) for path in (site / "kpconv_ros").rglob("*.py")}
    assert sources <= installed, "make build was not run after these files were added"
    code = "import kpconv_ros, kpconv_ros.msg, kpconv_ros.srv; print(kpconv_ros.__file__)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=site,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()).is_relative_to(site)
