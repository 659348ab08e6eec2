# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of models; what is strict about them is tested with each kind."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from kpconv_ros import model_folder
from kpconv_ros.model_folder import CheckpointError, find_model, read_manifest, write_manifest


@dataclass(frozen=True)
class PlainManifest:
    weights: str
    sha256: str


@dataclass(frozen=True)
class LongManifest(PlainManifest):
    sizes: tuple[int, ...] = (1, 2)


def test_a_shallow_place_of_the_package_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "__file__", "/kpconv_ros/model_folder.py")
    with pytest.raises(CheckpointError, match="unheard_of"):
        find_model("unheard_of")


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        (PlainManifest("a.bin", "beef"), "weights: a.bin\nsha256: beef\n"),
        (LongManifest("a.bin", "beef"), "weights: a.bin\nsha256: beef\nsizes: [1, 2]\n"),
    ],
)
def test_a_manifest_has_a_line_for_each_field(tmp_path: Path, manifest: PlainManifest, text: str) -> None:
    write_manifest(tmp_path, manifest)
    assert (tmp_path / "manifest.yaml").read_text() == text
    assert read_manifest(tmp_path, type(manifest), "something") == manifest


def test_a_manifest_of_another_kind_tells_what_was_expected(tmp_path: Path) -> None:
    write_manifest(tmp_path, LongManifest("a.bin", "beef"))
    with pytest.raises(CheckpointError, match=r"manifest.yaml: expected the manifest of a plain thing: .*'sizes'"):
        read_manifest(tmp_path, PlainManifest, "a plain thing")
