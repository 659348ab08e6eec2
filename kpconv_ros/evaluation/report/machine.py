# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The machine that a report was made on, and the versions of what ran."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("numpy", "numba", "torch", "rosbags", "small-gicp", "evo", "ros-rclpy", "ros-fastdds")


def describe_machine() -> dict[str, Any]:
    """Processor, memory, GPU and system; what cannot be found out is None."""
    import torch

    return {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "load_average": list(psutil.getloadavg()),
    }


def list_versions() -> dict[str, str | None]:
    """Versions of this package, Python, and the packages behind the figures; None where one is not installed."""
    packages = {"kpconv_ros": _own_version(), "python": platform.python_version()}
    return {**packages, **{name: _version_of(name) for name in PACKAGES}, "ros": os.environ.get("ROS_DISTRO")}


def _own_version() -> str | None:
    """From pip's metadata, else from the package.xml of a source tree or a share folder."""
    found = _version_of("kpconv_ros")
    manifest = Path(__file__).resolve().parents[3] / "package.xml"
    if found is None and manifest.is_file():
        from xml.etree import ElementTree

        found = ElementTree.parse(manifest).getroot().findtext("version")
    return found


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor_name() -> str | None:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None
