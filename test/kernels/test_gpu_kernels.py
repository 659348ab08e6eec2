# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Triton kernels on a machine without a GPU, each check in a process of its own: Triton decides at import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kpconv_ros.kernels.choice import autocast_dtype, takes_triton

TESTS = Path(__file__).parent / "gpu"
OF_MAPS = ("mapping/test_voxel_map.py", "mapping/test_device_sphere_voting.py", "pipelines/test_device_map.py")
IMPORTS = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("triton", "numba", "scipy", "yaml", "safetensors"):
            raise ImportError(f"no {name}")

sys.meta_path.insert(0, Absent())
import torch
from kpconv_ros.layers.soft_projection import soft_project
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.pipelines.live_segmenter import LiveSegmenter
network = KPFCNN(KPFCNNConfig(num_classes=2, in_features=1, voxel_size=0.1, width=8)).eval()
try:
    network(torch.rand(9, 3), torch.tensor([9]), torch.ones(9, 1))
except ImportError as error:
    print(error)
"""


def run(repository: Path, *command: str, **environment: str) -> str:
    """Run Python with arguments; return what it printed, or fail with it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        cwd=repository, env=os.environ | environment, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_every_kernel_equals_its_truth_in_the_interpreter(repository: Path) -> None:
    pytest.importorskip("triton")
    out = run(repository, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS), TRITON_INTERPRET="1")
    assert " passed" in out and "failed" not in out


@pytest.mark.slow
def test_the_map_on_a_device_is_the_one_on_the_cpu_in_the_interpreter(repository: Path) -> None:
    pytest.importorskip("triton")
    tests = [str(TESTS.parents[1] / path) for path in OF_MAPS]
    out = run(repository, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, TRITON_INTERPRET="1")
    assert " passed" in out and "failed" not in out and "needs a CUDA device" not in out


@pytest.mark.slow
def test_every_kernel_compiles_for_a_gpu_that_is_not_there(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("triton")
    out = run(repository, str(TESTS / "compile_all.py"), "90", TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")
    assert "B code" in out and "not compiled" not in out


@pytest.mark.slow
def test_the_benchmark_runs_up_to_the_device(repository: Path) -> None:
    pytest.importorskip("triton")
    out = run(repository, "benchmarks/gpu.py", "--interpret")
    differences = [float(line.split("differs by ")[1].split(";")[0]) for line in out.splitlines() if "differs" in line]
    assert len(differences) > 12 and max(differences) < 0.02
    assert "scan_to_labels" in out and "100.0 % labelled" in out and "all points found" in out
    assert "100.00 % of the places equal" in out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_the_benchmark_says_so_and_writes_nothing(repository: Path, tmp_path: Path) -> None:
    out = run(repository, "benchmarks/gpu.py", "--out", str(tmp_path / "gpu.json"), TRITON_INTERPRET="0")
    assert "no CUDA device" in out and not list(tmp_path.iterdir())


def test_networks_and_live_segmenter_import_with_torch_and_numpy_alone_and_say_what_a_cpu_needs(
    repository: Path,
) -> None:
    assert "expected Numba, which tensors on the CPU need, got none" in run(repository, "-c", IMPORTS)


def test_tensors_on_the_cpu_take_the_cpu_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert not takes_triton(torch.zeros(2, 3))
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert not takes_triton(torch.zeros(2, 3, dtype=torch.float64))


def test_autocast_tells_the_type_of_products() -> None:
    tensor = torch.zeros(1)
    assert autocast_dtype(tensor) == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert autocast_dtype(tensor) == torch.bfloat16
