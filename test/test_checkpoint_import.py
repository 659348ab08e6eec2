# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the authors' PyTorch code and of Open3D-ML."""

from pathlib import Path

import pytest
import torch
import yaml
from random_clouds import random_batch

from kpconv_ros.checkpoint import load_network
from kpconv_ros.checkpoint_import import ImportFormatError, import_network, read_parameters, rename_tensor
from kpconv_ros.cli import main
from kpconv_ros.geometry.voxel_grid import grid_subsample
from kpconv_ros.networks.encoder import EncoderConfig
from kpconv_ros.networks.kpcnn import KPCNN, KPCNNConfig
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig

SIZES = {"voxel_size": 0.2, "width": 16, "sigma": 1.2, "deformable_radius": 5.0, "shadow_pooling": True}
ENCODER = ("simple", "residual", "strided", "deformable", "deformable_strided", "deformable")
OFFICIAL = "simple resnetb resnetb_strided resnetb_deformable resnetb_deformable_strided resnetb_deformable"
FULL = {"segment": "nearest_upsample unary nearest_upsample unary", "classify": "global_average"}
NAMES = {
    "encoder_blocks.0.KPConv.weights": "encoder.0.conv.weights",
    "encoder_blocks.0.KPConv.kernel_points": "encoder.0.conv.kernel_points",
    "encoder_blocks.0.batch_norm.batch_norm.running_mean": "encoder.0.norm.running_mean",
    "encoder_blocks.10.unary1.mlp.weight": "encoder.10.reduce.linear.weight",
    "encoder_blocks.1.unary1.batch_norm.batch_norm.bias": "encoder.1.reduce.norm.bias",
    "encoder_blocks.1.batch_norm_conv.batch_norm.weight": "encoder.1.norm.weight",
    "encoder_blocks.1.unary2.batch_norm.batch_norm.num_batches_tracked": "encoder.1.expand.norm.num_batches_tracked",
    "encoder_blocks.1.unary_shortcut.mlp.weight": "encoder.1.shortcut.linear.weight",
    "encoder_blocks.3.KPConv.offset_conv.weights": "encoder.3.conv.offsets.weights",
    "encoder_blocks.3.KPConv.offset_bias": "encoder.3.conv.offset_bias",
    "block_ops.3.KPConv.offset_conv.kernel_points": "encoder.3.conv.offsets.kernel_points",
    "decoder_blocks.1.mlp.weight": "decoder.0.linear.weight",
    "decoder_blocks.7.batch_norm.batch_norm.running_var": "decoder.3.norm.running_var",
    "head_mlp.mlp.weight": "head.weight",
    "head_mlp.batch_norm.bias": "head.bias",
    "head_mlp.batch_norm.batch_norm.running_mean": "head.norm.running_mean",
    "head_softmax.mlp.weight": "classifier.weight",
    "head_softmax.batch_norm.bias": "classifier.bias",
}


def write_parameters(path: Path, architecture: str, **changes: str) -> Path:
    """Write a file as the authors' code does, with lines that do not matter here too."""
    values = {
        "dataset": "S3DIS", "num_classes": "4", "in_features_dim": "2", "architecture": architecture,
        "first_features_dim": "16", "use_batch_norm": "1", "batch_norm_momentum": "0.020000",
        "first_subsampling_dl": "0.200000", "num_kernel_points": "15", "conv_radius": "2.500000",
        "deform_radius": "5.000000", "KP_extent": "1.200000", "KP_influence": "linear", "aggregation_mode": "sum",
        "modulated": "0", **changes,
    }  # fmt: skip
    head = "# -----------------------------------#\n# Parameters of the training session #\n\n"
    path.write_text(head + "\n".join(f"{name} = {value}" for name, value in values.items()) + "\nclass_w =\n")
    return path


def write_open3d_config(path: Path, **changes: object) -> Path:
    """Write a config as Open3D-ML ships them, with lines that do not matter here too."""
    model = {
        "name": "KPFCNN", "ckpt_path": None, "architecture": f"{OFFICIAL} {FULL['segment']}".split(),
        "in_features_dim": 2, "first_features_dim": 16, "first_subsampling_dl": 0.2, "num_kernel_points": 15,
        "conv_radius": 2.5, "deform_radius": 5.0, "KP_extent": 1.2, "KP_influence": "linear", "modulated": False,
        "aggregation_mode": "sum", "use_batch_norm": True, "batch_norm_momentum": 0.98, "lbl_values": [0, 1, 2, 3],
        **changes,
    }  # fmt: skip
    kept = {name: value for name, value in model.items() if value != "absent"}
    path.write_text(yaml.safe_dump({"dataset": {"name": "Toronto3D"}, "model": kept}))
    return path


def official_state(network: torch.nn.Module, blocks: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a network of ours under the names of the authors' code, from the table above."""
    state = {}
    for name, tensor in network.state_dict().items():
        parts = name.split(".")
        if parts[0] in ("head", "classifier"):
            block = {"head": "head_mlp", "classifier": "head_softmax"}[parts[0]]
            inner_name = "mlp.weight" if parts[-1] == "weight" and "norm" not in parts else "batch_norm.bias"
            state[f"{block}.{f'batch_norm.batch_norm.{parts[2]}' if 'norm' in parts else inner_name}"] = tensor
            continue
        place = f"{blocks}.{parts[1]}" if parts[0] == "encoder" else f"decoder_blocks.{2 * int(parts[1]) + 1}"
        inner, unit = parts[2:], ""
        if inner[0] in ("reduce", "expand", "shortcut"):
            unit, inner = {"reduce": ".unary1", "expand": ".unary2", "shortcut": ".unary_shortcut"}[inner[0]], inner[1:]
        if inner[0] == "conv":
            rest = ".".join(["offset_conv" if part == "offsets" else part for part in inner[1:]])
            state[f"{place}.KPConv.{rest}"] = tensor
        elif inner[0] == "linear":
            state[f"{place}{unit}.mlp.weight"] = tensor
        else:
            norm = "batch_norm_conv" if not unit and parts[0] == "encoder" and parts[1] != "0" else "batch_norm"
            state[f"{place}{unit}.{norm}.batch_norm.{inner[1]}"] = tensor
    return state


def random_network(kind: str, **switches: object) -> KPFCNN | KPCNN:
    torch.manual_seed(0)
    sizes = {"num_classes": 4, "in_features": 2, "encoder": ENCODER, **SIZES, **switches}
    if kind == "segment":
        return KPFCNN(KPFCNNConfig(**sizes)).eval()  # type: ignore[arg-type]
    return KPCNN(KPCNNConfig(**sizes, hidden=32, dropout=0.0)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize(("official", "ours"), NAMES.items())
def test_tensors_are_renamed(official: str, ours: str) -> None:
    assert rename_tensor(official) == ours


@pytest.mark.parametrize(("kind", "blocks"), [("segment", "encoder_blocks"), ("classify", "block_ops")])
def test_a_checkpoint_is_taken_over_tensor_by_tensor(tmp_path: Path, kind: str, blocks: str) -> None:
    network = random_network(kind)
    folder = tmp_path / "Log" / "checkpoints"
    folder.mkdir(parents=True)
    write_parameters(folder.parent / "parameters.txt", f"{OFFICIAL} {FULL[kind]}")
    state = {"epoch": 3, "model_state_dict": official_state(network, blocks)}
    torch.save(state, folder / "current_chkp.tar")
    assert main(["import", str(folder / "current_chkp.tar"), "-o", str(tmp_path / "weights.safetensors")]) == 0
    imported = load_network(tmp_path / "weights.safetensors")
    assert type(imported) is type(network) and imported.config == network.config
    voxels = grid_subsample(*random_batch([150, 90], size=2.0, seed=1), 0.2)
    features = torch.ones(len(voxels.points), 2)
    batch = (voxels.points, voxels.lengths, features)
    assert imported(*batch).equal(network(*batch))


@pytest.mark.parametrize(
    ("changes", "switches"),
    [
        ({}, {"leaky_logits": True}),
        ({"reduce_fc": True, "l_relu": 0.2}, {"half_decoder": True, "slope": 0.2}),
    ],
)
def test_a_checkpoint_of_open3d_is_taken_over(
    tmp_path: Path, changes: dict[str, object], switches: dict[str, object]
) -> None:
    network = random_network("segment", **switches)
    state = {"epoch": 3, "model_state_dict": official_state(network, "encoder_blocks"), "scheduler_state_dict": {}}
    torch.save(state, tmp_path / "ckpt.pth")
    config, out = write_open3d_config(tmp_path / "kpconv.yml", **changes), tmp_path / "weights.safetensors"
    assert main(["import", str(tmp_path / "ckpt.pth"), "--parameters", str(config), "-o", str(out)]) == 0
    imported = load_network(out)
    assert imported.config == network.config and imported.config.momentum == 0.02
    for (name, tensor), (other, expected) in zip(imported.named_parameters(), network.named_parameters(), strict=True):
        assert name == other and tensor.equal(expected)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"KP_extent": "absent"}, "expected KP_extent too, got .*conv_radius"),
        ({"name": "RandLANet"}, "expected a section 'model' of a KPFCNN, got .*RandLANet"),
        ({"use_batch_norm": False}, "use_batch_norm: expected 1, got 0"),
        ({"reduce_fc": True}, "do not fit the architecture"),
    ],
)
def test_a_config_of_open3d_that_cannot_be_taken_over_is_named(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    state = official_state(random_network("segment", leaky_logits=True), "encoder_blocks")
    with pytest.raises(ImportFormatError, match=told):
        import_network(state, read_parameters(write_open3d_config(tmp_path / "kpconv.yml", **changes)))


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text("model: [")
    with pytest.raises(ImportFormatError, match="expected YAML"):
        read_parameters(tmp_path / "broken.yml")


def test_limits_of_neighbours_are_given_by_hand(tmp_path: Path) -> None:
    network = random_network("segment")
    parameters = read_parameters(write_parameters(tmp_path / "p.txt", f"{OFFICIAL} {FULL['segment']}"))
    state = official_state(network, "encoder_blocks")
    assert import_network(state, parameters, (10, 20, 30)).config.max_neighbors == (10, 20, 30)
    with pytest.raises(ImportFormatError, match="expected 3 limits"):
        import_network(state, parameters, (10, 20))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"KP_influence": "gaussian"}, "KP_influence: expected linear, got gaussian"),
        ({"aggregation_mode": "closest"}, "aggregation_mode: expected sum"),
        ({"modulated": "1"}, "modulated"),
        ({"architecture": "simple resnetb_equivariant global_average"}, "expected blocks .* got simple resnetb_equi"),
        ({"architecture": "simple resnetb nearest_upsample unary"}, "do not fit"),
    ],
)
def test_what_cannot_be_taken_over_is_named(tmp_path: Path, changes: dict[str, str], told: str) -> None:
    values = {"architecture": f"{OFFICIAL} {FULL['segment']}", **changes}
    parameters = read_parameters(write_parameters(tmp_path / "p.txt", **values))
    with pytest.raises(ImportFormatError, match=told):
        import_network(official_state(random_network("segment"), "encoder_blocks"), parameters)


def test_a_file_without_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("# nothing\n")
    with pytest.raises(ImportFormatError, match="expected architecture, .* too, got nothing"):
        read_parameters(tmp_path / "p.txt")


def test_blocks_and_pooling_look_as_far_as_their_own_kind() -> None:
    encoder = ("simple", "strided", "deformable", "strided", "residual", "deformable_strided", "residual")
    config = EncoderConfig(2, 1, 0.1, encoder=encoder)
    torch.testing.assert_close(config.radii, (0.25, 1.0, 1.0, 2.0))
    torch.testing.assert_close(config.pooling_radii, (0.25, 0.5, 2.0))
