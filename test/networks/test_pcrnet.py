# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PCRNet."""

import pytest
import torch

from kpconv_ros.geometry.rotations import apply_motions
from kpconv_ros.networks.encoder import NetworkError
from kpconv_ros.networks.pcrnet import PCRNet, PCRNetConfig

SMALL = {"point_widths": (16, 32), "hidden": (24,)}


def test_the_default_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in PCRNet(PCRNetConfig()).parameters()) == 4_217_351


def test_the_order_of_points_does_not_matter_and_rotations_are_rotations() -> None:
    torch.manual_seed(0)
    network, (templates, sources) = PCRNet(PCRNetConfig(**SMALL)), torch.randn(2, 3, 40, 3)
    motion, again = network(templates, sources), network(templates[:, torch.randperm(40)], sources[:, :30].flip(1))
    assert torch.allclose(motion.rotations @ motion.rotations.transpose(1, 2), torch.eye(3).expand(3, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(motion.rotations), torch.ones(3), atol=1e-5)
    assert motion.rotations.shape == again.rotations.shape
    assert torch.allclose(network(templates[:, torch.randperm(40)], sources).rotations, motion.rotations, atol=1e-5)
    assert motion.translations.abs().max() == 0  # none is estimated


def test_iterations_compose_what_single_passes_say() -> None:
    torch.manual_seed(0)
    one = PCRNet(PCRNetConfig(**SMALL, translation=True))
    three = PCRNet(PCRNetConfig(**SMALL, translation=True, iterations=3))
    three.load_state_dict(one.state_dict())
    templates, sources = torch.randn(2, 2, 40, 3)
    moved = templates
    for _ in range(3):
        moved = apply_motions(*one(moved, sources), moved)
    motion = three(templates, sources)
    assert torch.allclose(apply_motions(*motion, templates), moved, atol=1e-4)
    assert motion.translations.abs().min() > 0


def test_batches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(NetworkError, match="expected templates and sources"):
        PCRNet(PCRNetConfig(**SMALL))(torch.zeros(2, 5, 3), torch.zeros(3, 5, 3))
