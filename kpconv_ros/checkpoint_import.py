# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks trained with the authors' PyTorch code or with Open3D-ML, as networks of ours: ``kpconv-ros import``.

The tensors keep their values; only their names change. What a code does otherwise than the paper is switched on in
the network's Config: sigma of 1.2 cells, neighbours up to a limit with shadows that are pooled as zeros, and the kernel
points that the checkpoint holds. The sizes are told by ``parameters.txt``, which KPConv-PyTorch writes beside the
checkpoints, or by the YAML config of Open3D-ML.

Open3D-ML's KP-FCNN is that of KPConv-PyTorch, with tensors of the same names, but for a choice of slope, a decoder of
half the width with a batch norm in the head (``reduce_fc``), and a leaky ReLU on the logits where that is not chosen.
It sets no limit of neighbours.
"""

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kpconv_ros.checkpoint import save_network
from kpconv_ros.config_io import ConfigError, parse_yaml
from kpconv_ros.networks.encoder import EncoderConfig, NetworkError
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig

BLOCK_OF_OFFICIAL = {
    "simple": "simple",
    "resnetb": "residual",
    "resnetb_strided": "strided",
    "resnetb_deformable": "deformable",
    "resnetb_deformable_strided": "deformable_strided",
}
LEAKY_LOGITS = "leaky_logits"  # what is always so in Open3D-ML's code has no parameter there
NORM = r"batch_norm\.(weight|bias|running_mean|running_var|num_batches_tracked)"
RENAMINGS = (
    (r"encoder_blocks\.(\d+)\.(.*)", r"encoder.\1.\2"),
    (r"block_ops\.(\d+)\.(.*)", r"encoder.\1.\2"),
    (r"(.*)\.KPConv\.offset_conv\.(weights|kernel_points)", r"\1.conv.offsets.\2"),
    (r"(.*)\.KPConv\.(weights|kernel_points|offset_bias)", r"\1.conv.\2"),
    (rf"(encoder\.\d+)\.batch_norm(?:_conv)?\.{NORM}", r"\1.norm.\2"),
    (r"(.*)\.unary1\.(.*)", r"\1.reduce.\2"),
    (r"(.*)\.unary2\.(.*)", r"\1.expand.\2"),
    (r"(.*)\.unary_shortcut\.(.*)", r"\1.shortcut.\2"),
    (rf"head_mlp\.batch_norm\.{NORM}", r"head.norm.\1"),
    (r"head_mlp\.mlp\.weight", r"head.weight"),
    (r"head_mlp\.batch_norm\.bias", r"head.bias"),
    (r"head_softmax\.mlp\.weight", r"classifier.weight"),
    (r"head_softmax\.batch_norm\.bias", r"classifier.bias"),
    (r"(.*)\.mlp\.weight", r"\1.linear.weight"),
    (rf"(.*)\.batch_norm\.{NORM}", r"\1.norm.\2"),
)
"""Applied to a name one after the other; both codes have the same names."""
NEEDED = (
    *("architecture", "in_features_dim", "first_subsampling_dl", "first_features_dim", "num_kernel_points"),
    *("KP_extent", "conv_radius", "deform_radius", "batch_norm_momentum"),
)


class ImportFormatError(ValueError):
    """A checkpoint or its parameters that cannot be taken over."""


def read_parameters(path: Path) -> dict[str, list[str]]:
    """Read a ``parameters.txt``, or a config of Open3D-ML (.yml, .yaml): the words of each parameter.

    Raises:
        ImportFormatError: If a parameter is missing without which the network cannot be built.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".yml", ".yaml"):
        parameters = _parameters_of_yaml(text, path)
    else:
        rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
        parameters = {row[0]: row[2:] for row in rows if len(row) > 2 and row[1] == "="}
    missing = [name for name in NEEDED if name not in parameters]
    if missing:
        raise ImportFormatError(
            f"{path}: expected {', '.join(missing)} too, got {', '.join(sorted(parameters)) or 'nothing'}"
        )
    return parameters


def _parameters_of_yaml(text: str, path: Path) -> dict[str, list[str]]:
    """Return the parameters of Open3D-ML's ``model`` section in KPConv-PyTorch's words."""
    try:
        config = parse_yaml(text)
    except ConfigError as error:
        raise ImportFormatError(f"{path}: expected YAML: {error}") from error
    model = config.get("model") if isinstance(config, dict) else None
    if not isinstance(model, dict) or model.get("name", "KPFCNN") != "KPFCNN":
        raise ImportFormatError(f"{path}: expected a section 'model' of a KPFCNN, got {model or config}")
    lists = {name: value if isinstance(value, list) else [value] for name, value in model.items()}
    parameters = {
        name: [str(int(value) if isinstance(value, bool) else value) for value in values]
        for name, values in lists.items()
    }
    if "batch_norm_momentum" in model:  # there the share of the old statistics
        parameters["batch_norm_momentum"] = [f"{1 - float(model['batch_norm_momentum']):.6f}"]
    return {**parameters, LEAKY_LOGITS: ["0" if model.get("reduce_fc", False) else "1"]}


def config_of_parameters(
    parameters: Mapping[str, list[str]], state: Mapping[str, Tensor], max_neighbors: tuple[int, ...] = ()
) -> EncoderConfig:
    """Return the Config of the network that the parameters describe.

    Args:
        parameters: Of :func:`read_parameters`.
        state: Tensors of the checkpoint, which tell the numbers of features and classes.
        max_neighbors: The limits that the code had calibrated, one a level; it does not write them down.

    Raises:
        ImportFormatError: If the network uses what ours does not offer.
    """
    for name, only in (("KP_influence", "linear"), ("aggregation_mode", "sum"), ("use_batch_norm", "1")):
        if parameters.get(name, [only]) != [only]:
            raise ImportFormatError(f"{name}: expected {only}, got {' '.join(parameters[name])}")
    blocks = parameters["architecture"]
    ends = [i for i, block in enumerate(blocks) if block in ("nearest_upsample", "global_average")]
    unknown = [block for block in blocks[: ends[0] if ends else None] if block not in BLOCK_OF_OFFICIAL]
    if unknown or not ends:
        raise ImportFormatError(f"architecture: expected blocks {', '.join(BLOCK_OF_OFFICIAL)}, got {' '.join(blocks)}")
    sizes: dict[str, Any] = {
        "num_classes": len(state["head_softmax.mlp.weight"]),
        "in_features": int(parameters["in_features_dim"][0]),
        "voxel_size": float(parameters["first_subsampling_dl"][0]),
        "width": int(parameters["first_features_dim"][0]),
        "encoder": tuple(BLOCK_OF_OFFICIAL[block] for block in blocks[: ends[0]]),
        "num_kernel_points": int(parameters["num_kernel_points"][0]),
        "sigma": float(parameters["KP_extent"][0]),
        "radius": float(parameters["conv_radius"][0]),
        "deformable_radius": float(parameters["deform_radius"][0]),
        "max_neighbors": max_neighbors,
        "momentum": float(parameters["batch_norm_momentum"][0]),
        "shadow_pooling": True,
        "slope": float(parameters.get("l_relu", [str(EncoderConfig.slope)])[0]),
    }
    modulated = parameters.get("modulated", ["0"]) != ["0"]
    if modulated and any(name.startswith("deformable") for name in sizes["encoder"]):
        raise ImportFormatError("modulated: expected 0, got 1: modulated kernels are not offered")
    try:
        if blocks[ends[0]] == "global_average":
            return KPCNNConfig(**sizes, hidden=len(state["head_mlp.mlp.weight"]), dropout=0.0)
        half, leaky = (parameters.get(name, ["0"]) != ["0"] for name in ("reduce_fc", LEAKY_LOGITS))
        return KPFCNNConfig(**sizes, half_decoder=half, leaky_logits=leaky)
    except NetworkError as error:
        raise ImportFormatError(str(error)) from error


def rename_tensor(name: str) -> str:
    """Return our name of a tensor of either code."""
    for pattern, replacement in RENAMINGS:
        name = re.sub(f"^{pattern}$", replacement, name)
    if match := re.match(r"decoder_blocks\.(\d+)\.(.*)", name):  # every other block there is an upsampling
        name = f"decoder.{int(match[1]) // 2}.{match[2]}"
    return name


def import_network(
    state: Mapping[str, Tensor], parameters: Mapping[str, list[str]], max_neighbors: tuple[int, ...] = ()
) -> KPFCNN | KPCNN:
    """Build our network from a checkpoint of either code; arguments as in :func:`config_of_parameters`.

    Raises:
        ImportFormatError: If the tensors are not those of the network that the parameters describe.
    """
    config = config_of_parameters(parameters, state, max_neighbors)
    network = KPCNN(config) if isinstance(config, KPCNNConfig) else KPFCNN(KPFCNNConfig(**vars(config)))
    renamed = {rename_tensor(name): tensor for name, tensor in state.items()}
    if "head.norm.weight" in renamed:  # then the head is a unary block
        renamed["head.linear.weight"] = renamed.pop("head.weight")
    try:
        network.load_state_dict(renamed, strict=True)
    except RuntimeError as error:
        raise ImportFormatError(f"the tensors do not fit the architecture: {error}") from error
    return network.eval()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("checkpoint", type=Path, help="file of KPConv-PyTorch (.tar) or Open3D-ML (.pth)")
    parser.add_argument(
        "--parameters", type=Path, help="parameters.txt, else that in the folder above; or Open3D-ML's .yml"
    )
    parser.add_argument("--max-neighbors", type=int, nargs="*", default=[], help="calibrated limit of each level")
    parser.add_argument("-o", "--out", type=Path, required=True, help="safetensors file to write")


def run(args: argparse.Namespace) -> int:
    """Convert."""
    parameters = read_parameters(args.parameters or args.checkpoint.parent.parent / "parameters.txt")
    state = torch.load(args.checkpoint, map_location="cpu", weights_only=True)["model_state_dict"]
    network = import_network(state, parameters, tuple(args.max_neighbors))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"wrote {args.out}, SHA-256 {save_network(network, args.out)}", file=sys.stderr)
    return 0
