# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exported networks on disk: ``.onnx`` (ONNX) and ``.pt2`` (torch.export), the description in their metadata."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import Dim, ExportedProgram

from kpconv_ros.export.description import Description, ExportError
from kpconv_ros.export.inputs import prepare_inputs
from kpconv_ros.networks.kpcnn import KPCNN
from kpconv_ros.networks.kpfcnn import KPFCNN
from kpconv_ros.networks.padded import PaddedNetwork, input_names

OUTPUT = "logits"
METADATA_FILE = "description.json"  # inside the .pt2 archive
EXAMPLE_POINTS = 120
Array = NDArray[Any]


def sizes_of_inputs(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the names of the variable sizes of each input of :func:`.padded.input_names`, first dimension first."""
    sizes: dict[str, tuple[str, ...]] = {"features": ("num_points_0",), "lengths": ("num_clouds",)}
    for j in range(len(names)):
        sizes[f"points_{j}"] = sizes[f"upsampling_{j}"] = (f"num_points_{j}",)
        sizes[f"neighbors_{j}"] = (f"num_points_{j}", f"num_neighbors_{j}")
        sizes[f"pooling_{j}"] = (f"num_points_{j + 1}", f"num_pooled_{j}")
    return {name: sizes[name] for name in names}


def trace_network(network: KPFCNN | KPCNN, description: Description) -> ExportedProgram:
    """Trace a network with variable sizes."""
    padded = PaddedNetwork(network)
    sizes = sizes_of_inputs(padded.input_names)
    dims = {name: Dim(name, min=1) for of_input in sizes.values() for name in of_input}
    shapes = [{axis: dims[name] for axis, name in enumerate(of_input)} for of_input in sizes.values()]
    with _quietly():
        return torch.export.export(padded, _example(description), dynamic_shapes=(tuple(shapes),))


def write_pt2(program: ExportedProgram, description: Description, path: Path) -> None:
    """Write a traced network as a torch.export archive."""
    with _quietly():
        torch.export.save(program, path, extra_files={METADATA_FILE: json.dumps(description.to_metadata())})


def write_onnx(program: ExportedProgram, description: Description, path: Path) -> None:
    """Write a traced network as ONNX.

    Raises:
        ModuleNotFoundError: Without the packages onnx and onnxscript.
    """
    names = input_names(description.num_levels, description.classifies_clouds)
    sizes = sizes_of_inputs(names).values()
    shapes = (tuple(dict(enumerate(of_input)) for of_input in sizes),)  # names the sizes in the file
    with _quietly():
        exported = torch.onnx.export(
            program, dynamo=True, input_names=names, output_names=[OUTPUT], dynamic_shapes=shapes, verbose=False
        )
        assert exported is not None
        exported.model.metadata_props.update(description.to_metadata())
        exported.save(path, external_data=False)


WRITERS: dict[str, Callable[[ExportedProgram, Description, Path], None]] = {"onnx": write_onnx, "pt2": write_pt2}
"""By the suffix of the file."""


class ExportedNetwork:
    """An exported file, ready to run."""

    def __init__(self, description: Description, run: Callable[[dict[str, Array]], Array]) -> None:
        """Take what :func:`load_exported` found."""
        self.description = description
        self._run = run

    def run(self, inputs: Mapping[str, Array]) -> Array:
        """Return the logits, ``(N, C)`` float32 of points or ``(B, C)`` of clouds.

        Args:
            inputs: Of :func:`kpconv_ros.export.inputs.prepare_inputs`.

        Raises:
            ExportError: If the names are others.
        """
        names = input_names(self.description.num_levels, self.description.classifies_clouds)
        if set(inputs) != set(names):
            raise ExportError(f"expected the inputs {', '.join(names)}, got {', '.join(inputs)}")
        return self._run({name: inputs[name] for name in names})


def load_exported(path: Path) -> ExportedNetwork:
    """Load a file that ``kpconv-ros export`` wrote, to run it on the CPU.

    Raises:
        ExportError: If it is no such file.
        ModuleNotFoundError: Without the package onnxruntime, for ONNX.
    """
    loaders = {".onnx": _load_onnx, ".pt2": _load_pt2}
    if path.suffix not in loaders or not path.is_file():
        raise ExportError(f"expected an existing file {' or '.join(loaders)}, got {path}")
    return loaders[path.suffix](path)


def _load_onnx(path: Path) -> ExportedNetwork:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a class of its own for each reason, without a public base
        raise ExportError(f"{path}: {error}") from error
    description = Description.from_metadata(session.get_modelmeta().custom_metadata_map, str(path))

    def run(inputs: dict[str, Array]) -> Array:
        logits: Array = session.run([OUTPUT], inputs)[0]
        return logits

    return ExportedNetwork(description, run)


def _load_pt2(path: Path) -> ExportedNetwork:
    files = {METADATA_FILE: ""}
    try:
        program = torch.export.load(path, extra_files=files).module()
    except Exception as error:  # what a damaged archive raises is not documented
        raise ExportError(f"{path}: {error}") from error
    description = Description.from_metadata(json.loads(files[METADATA_FILE] or "{}"), str(path))

    def run(inputs: dict[str, Array]) -> Array:
        with torch.inference_mode():
            logits: Array = program(*(torch.from_numpy(array) for array in inputs.values())).numpy()
        return logits

    return ExportedNetwork(description, run)


def _example(description: Description) -> tuple[Tensor, ...]:
    """Return inputs of two clouds to trace with; tracing takes sizes of 0 and 1 for constant, so all are above."""
    edge = 3 * description.voxel_size * 2 ** (description.num_levels - 1)  # three of the coarsest cells
    generator = np.random.default_rng(0)
    points = generator.uniform(0, edge, (2 * EXAMPLE_POINTS, 3))
    features = np.zeros((2 * EXAMPLE_POINTS, description.num_features))
    inputs = prepare_inputs(description, points, features, [EXAMPLE_POINTS, EXAMPLE_POINTS])
    return tuple(torch.from_numpy(array) for array in inputs.values())


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporters' remarks about themselves from the user."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
