# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build for pip: the Python package, its ROS 2 share files and, where the generators are found, its messages.

With ROS 2 installed ``colcon build`` is the way. ``pip install .`` is for use without ROS (``Segmenter``,
``kpconv-ros segment``); it builds the messages too when ``rosidl_default_generators`` and CMake are there, unless
``KPCONV_ROS_MESSAGES=0``.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from glob import glob
from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py

NAME = "kpconv_ros"
VERSION = "0.1.0"
ROOT = Path(__file__).resolve().parent
SHARE = f"share/{NAME}"


def ros_prefixes() -> list[str]:
    """Return the ROS prefixes to build messages with; empty when they cannot be built here."""
    if os.environ.get("KPCONV_ROS_MESSAGES") == "0" or shutil.which("cmake") is None:
        return []
    listed = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    prefixes = [prefix for prefix in dict.fromkeys([*listed, sys.prefix]) if prefix and Path(prefix).is_dir()]
    found = any(Path(prefix, "share", "rosidl_default_generators", "cmake").is_dir() for prefix in prefixes)
    return prefixes if found else []


def cmake_environment(prefixes: list[str]) -> dict[str, str]:
    """Return the environment in which CMake, and the generators that it starts, find ROS."""
    path = os.pathsep.join(prefixes)
    # pip's isolated build folders would hide the site-packages that hold the generators.
    python_path = [
        entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if "pip-build-env" not in entry
    ]
    libraries = [os.path.join(prefix, "lib") for prefix in prefixes]
    libraries += glob(os.path.join(sysconfig.get_path("platlib"), "ros_*.libs"))
    libraries += filter(None, [os.environ.get("LD_LIBRARY_PATH")])
    return {
        **os.environ,
        "AMENT_PREFIX_PATH": path,
        "CMAKE_PREFIX_PATH": path,
        "PYTHONPATH": os.pathsep.join(entry for entry in python_path if "pip-build-env" not in entry),
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
    }


def install_with_cmake(build_dir: Path, prefixes: list[str]) -> Path:
    """Run CMakeLists.txt and return the prefix that it installed into."""
    stage = build_dir / "stage"
    options = [f"-DCMAKE_INSTALL_PREFIX={stage}", f"-DPython3_EXECUTABLE={sys.executable}"]
    options += ["-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Release"]
    steps = (
        ["cmake", "-S", str(ROOT), "-B", str(build_dir), *options],
        ["cmake", "--build", str(build_dir), "--parallel", str(os.cpu_count())],
        ["cmake", "--install", str(build_dir)],
    )
    for step in steps:
        subprocess.run(step, env=cmake_environment(prefixes), check=True)
    return stage


class BuildWithMessages(build_py):
    """The usual build, and the generated messages laid beside the modules."""

    def run(self) -> None:
        """Build."""
        super().run()
        prefixes = ros_prefixes()
        if self.editable_mode or not prefixes:
            print(f"{NAME}: built without messages (no rosidl generators, or an editable install)", file=sys.stderr)
            return
        build_dir = Path(self.get_finalized_command("build").build_temp).resolve() / "messages"
        stage = install_with_cmake(build_dir, prefixes)
        self.copy_generated_modules(next(stage.glob(f"lib/python*/*-packages/{NAME}")))
        self.add_generated_data(stage)

    def copy_generated_modules(self, generated: Path) -> None:
        """Copy the message modules and their compiled support."""
        target = Path(self.build_lib) / NAME
        for kind in ("msg", "srv"):
            ignored = shutil.ignore_patterns("*.c", "__pycache__")
            shutil.copytree(generated / kind, target / kind, dirs_exist_ok=True, ignore=ignored)
        for library in generated.glob("*.so"):
            shutil.copy2(library, target)

    def add_generated_data(self, stage: Path) -> None:
        """Add headers, libraries and the ament index, less the files that setup() lists itself."""
        listed = {f"{folder}/{Path(file).name}" for folder, files in self.distribution.data_files for file in files}
        for file in sorted(filter(Path.is_file, stage.rglob("*"))):
            place = file.relative_to(stage)
            is_library = place.parts[0] == "lib" and len(place.parts) == 2
            if (place.parts[0] in ("share", "include") or is_library) and str(place) not in listed:
                self.distribution.data_files.append((str(place.parent), [os.path.relpath(file, ROOT)]))


class MessageDistribution(Distribution):
    """A distribution for one platform when it carries compiled messages."""

    def has_ext_modules(self) -> bool:
        """Tell whether the wheel is for one platform."""
        return bool(ros_prefixes())


def requirements() -> list[str]:
    """Return requirements.txt without its comments."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def share_folder(folder: str) -> list[tuple[str, list[str]]]:
    """List the files of a folder for share/, sub-folders kept."""
    files = [Path(file) for file in glob(f"{folder}/**/*", recursive=True) if Path(file).is_file()]
    return [(f"{SHARE}/{file.parent}", [str(file)]) for file in files if "__pycache__" not in file.parts]


setup(
    name=NAME,
    version=VERSION,
    description="Live semantic segmentation of lidar point clouds with KPConv on ROS 2",
    license="Apache-2.0",
    python_requires=">=3.10",
    install_requires=requirements(),
    extras_require={"test": ["pytest"]},
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "evaluation/report/*.html", "evaluation/report/*.json", "viewing/*.html"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
        (f"{SHARE}/launch", glob("launch/*.launch.py")),
        *share_folder("config"),
        *share_folder("models"),
        (f"lib/{NAME}", glob("scripts/*")),
    ],
    entry_points={"console_scripts": [f"kpconv-ros = {NAME}.cli:main"]},
    cmdclass={"build_py": BuildWithMessages},
    distclass=MessageDistribution,
    zip_safe=False,
)
