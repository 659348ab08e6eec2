# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every test shares: ROS first, a DDS domain of its own, the folder of real scans."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

# The ROS 2 wheels start the process again on the first import to set its library path: before anything else is loaded.
with contextlib.suppress(ImportError):
    import rclpy  # noqa: F401

import pytest

if TYPE_CHECKING:
    from kpconv_ros.data.clouds import Cloud

REPOSITORY = Path(__file__).resolve().parents[1]

# Nodes of these tests must not hear those of another run, nor of another worker, which inherits the environment.
# Domains above 101 collide with ephemeral ports on Linux.
if "PYTEST_XDIST_WORKER" in os.environ or "ROS_DOMAIN_ID" not in os.environ:
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Split the suite in two: what may run on all cores, and what runs one by one."""
    told = "leave out the tests that start nodes or judge time ('none'), or run these alone ('only')"
    parser.addoption("--live", choices=("none", "only"), help=told)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one part of the suite; let files with slow tests begin, so that no core waits for one at the end."""
    wanted, kept, left_out = config.getoption("--live"), [], []
    for item in items:
        is_live = any(item.iter_markers("ros")) or any(item.iter_markers("alone"))
        (left_out if wanted and is_live != (wanted == "only") else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    slow = {item.path for item in kept if any(item.iter_markers("slow"))}
    items[:] = sorted(kept, key=lambda item: item.path not in slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run."""
    if item.get_closest_marker("ros"):
        pytest.importorskip("rclpy", reason="needs ROS 2")
        pytest.importorskip("kpconv_ros.msg", reason="needs the built messages: make build")
    if item.get_closest_marker("gpu"):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real scans: ``KPCONV_DATA``, or ``../shared/data`` beside the repository."""
    folder = Path(os.environ.get("KPCONV_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs real scans: no folder {folder} (set KPCONV_DATA)")
    return folder


@pytest.fixture(scope="session")
def real_scan(data_dir: Path) -> "Cloud":
    """One turn of a real lidar in its own frame: 115,385 points in whole millimetres, intensities from 0 to 0.99."""
    from kpconv_ros.data.clouds import read_cloud

    path = data_dir / "pointcloud2" / "lidar.pcd"
    if not path.is_file():
        pytest.skip(f"needs a real scan: no file {path}")
    return read_cloud(path)
