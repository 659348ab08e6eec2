# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exported files give the logits of the network, for clouds of any size."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_clouds import random_batch

from kpconv_ros.export.description import Description, ExportError, describe
from kpconv_ros.export.files import WRITERS, load_exported, trace_network
from kpconv_ros.export.inputs import prepare_inputs
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.layers.blocks import PackedBatchNorm
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig

SIZE = 0.25
RIGID = ("simple", "strided", "residual")
SIZES = {"num_classes": 4, "in_features": 2, "voxel_size": SIZE, "width": 16}
CLOUDS = ([400, 150], [60], [1])


class Exported(NamedTuple):
    """A network and its files."""

    network: KPFCNN | KPCNN
    description: Description
    folder: Path


def export(network: KPFCNN | KPCNN, folder: Path) -> Exported:
    """Write a network in all formats, whose batch norms have statistics of their own."""
    for norm in network.modules():
        if isinstance(norm, PackedBatchNorm):
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.1, 0.5)
    known = {"classes": ("road", "car", "pole", "fence"), "features": ("one", "height"), "sphere_radius": 4.0}
    description = replace(describe(network.eval(), None, "tiny", "ab12"), **known)  # type: ignore[arg-type]
    program = trace_network(network, description)
    for name, write in WRITERS.items():
        write(program, description, folder / f"tiny.{name}")
    return Exported(network, description, folder)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A KP-FCNN in all formats."""
    torch.manual_seed(0)
    network = KPFCNN(KPFCNNConfig(**SIZES, encoder=RIGID))  # type: ignore[arg-type]
    return export(network, tmp_path_factory.mktemp("segmenter"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A KP-CNN in all formats."""
    torch.manual_seed(0)
    network = KPCNN(KPCNNConfig(**SIZES, encoder=RIGID, hidden=32))  # type: ignore[arg-type]
    return export(network, tmp_path_factory.mktemp("classifier"))


def check(exported: Exported, file_format: str) -> None:
    """Compare the logits of clouds of different sizes."""
    loaded = load_exported(exported.folder / f"tiny.{file_format}")
    assert loaded.description == exported.description
    for seed, lengths in enumerate(CLOUDS):
        voxels = grid_subsample(*random_batch(lengths, size=3.0, seed=seed), SIZE)
        features = torch.stack([voxels.points[:, 2], voxels.points[:, 0].sin()], 1)
        with torch.no_grad():
            expected = exported.network(voxels.points, voxels.lengths, features).numpy()
        inputs = prepare_inputs(exported.description, voxels.points, features, voxels.lengths)
        logits = loaded.run(inputs)
        assert logits.shape == expected.shape and np.abs(expected).max() > 1e-2
        np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("file_format", ["onnx", "pt2"])
@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_clouds_of_any_size_get_the_logits_of_the_network(
    kind: str, file_format: str, request: pytest.FixtureRequest
) -> None:
    check(request.getfixturevalue(kind), file_format)


def test_the_documented_example_labels_a_scan(
    segmenter: Exported, repository: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    scan = generator.uniform((-6, -6, -2, 0), (6, 6, 0, 1), (800, 4)).astype(np.float32)
    scan[0] = np.nan
    scan.tofile("scan.bin")
    shutil.copy(segmenter.folder / "tiny.onnx", "street_sim.onnx")
    example = re.search(r"```python\n(.*?)```", (repository / "docs" / "export.md").read_text("utf-8"), re.DOTALL)
    assert example is not None
    exec(example[1], {})
    counts = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert tuple(counts) == segmenter.description.classes
    inside = np.square(scan[1:, :3] - (0, 0, -1)).sum(1) < 4**2
    assert sum(map(int, counts.values())) == pytest.approx(np.count_nonzero(inside), rel=0.1)  # whole voxels


def test_onnx_names_its_inputs_and_sizes_and_holds_the_metadata(segmenter: Exported) -> None:
    import onnx

    model = onnx.load(segmenter.folder / "tiny.onnx")
    onnx.checker.check_model(model)

    def sizes(values: Any) -> dict[str, list[str | int]]:
        dims = {value.name: value.type.tensor_type.shape.dim for value in values}
        return {name: [dim.dim_param or dim.dim_value for dim in of_value] for name, of_value in dims.items()}

    assert sizes(model.graph.input) == {
        "features": ["num_points_0", 2],
        "points_0": ["num_points_0", 3],
        "neighbors_0": ["num_points_0", "num_neighbors_0"],
        "points_1": ["num_points_1", 3],
        "neighbors_1": ["num_points_1", "num_neighbors_1"],
        "pooling_0": ["num_points_1", "num_pooled_0"],
        "upsampling_0": ["num_points_0"],
    }
    assert sizes(model.graph.output) == {"logits": ["num_points_0", 4]}
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert Description.from_metadata(metadata) == segmenter.description


def small_inputs(description: Description) -> dict[str, NDArray[Any]]:
    return prepare_inputs(description, np.eye(3) * 0.2, np.ones((3, 2)))


@pytest.mark.parametrize("file_format", ["onnx", "pt2"])
def test_inputs_of_another_network_are_refused(segmenter: Exported, file_format: str) -> None:
    loaded, inputs = load_exported(segmenter.folder / f"tiny.{file_format}"), small_inputs(segmenter.description)
    reversed_inputs = dict(reversed(inputs.items()))
    np.testing.assert_array_equal(loaded.run(inputs), loaded.run(reversed_inputs))
    inputs.pop("upsampling_0")
    with pytest.raises(ExportError, match="expected the inputs features, .* got features"):
        loaded.run(inputs)


def test_a_file_that_is_no_exported_network_is_refused(tmp_path: Path, segmenter: Exported) -> None:
    with pytest.raises(ExportError, match=r"expected an existing file \.onnx or \.pt2, got .*nothing\.onnx"):
        load_exported(tmp_path / "nothing.onnx")
    for name in ("broken.onnx", "broken.pt2"):
        (tmp_path / name).write_bytes(b"broken")
        with pytest.raises(ExportError, match=name):
            load_exported(tmp_path / name)
    with pytest.raises(ExportError, match="got .*tiny.bin"):
        load_exported(segmenter.folder / "tiny.bin")


def test_onnx_of_another_network_is_refused(tmp_path: Path, segmenter: Exported) -> None:
    import onnx

    model = onnx.load(segmenter.folder / "tiny.onnx")
    model.ClearField("metadata_props")
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ExportError, match="expected the metadata of an exported network"):
        load_exported(tmp_path / "other.onnx")
