# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A street, and the evaluation of it offline, made once."""

import json

import pytest
from evaluated import street_sequence, tiny_model

from kpconv_ros import cli


@pytest.fixture(scope="session")
def street(tmp_path_factory):
    """A recording in KITTI's layout."""
    return street_sequence(tmp_path_factory.mktemp("street") / "00")


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """An untrained network."""
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def offline(street, model, tmp_path_factory):
    """The folder of an offline evaluation that kept its labels."""
    pytest.importorskip("evo")
    out = tmp_path_factory.mktemp("offline")
    assert cli.main(["evaluate", str(street), "--model", str(model), "--out", str(out), "--keep-labels"]) == 0
    return out


@pytest.fixture(scope="session")
def report(offline):
    """Its report."""
    return json.loads((offline / "report.json").read_text())
