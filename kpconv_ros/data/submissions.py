# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels in the formats that the online benchmarks take, as one zip each.

- SemanticKITTI: ``sequences/SS/predictions/NNNNNN.label``, a little-endian uint32 a point with the raw class id that
  ``learning_map_inv`` gives; the folders must be members of the zip too (README and ``validate_submission.py`` of
  PRBonn/semantic-kitti-api).
- ScanNet: ``SCENE.txt`` in the zip's root, the NYU40 id of one vertex of ``SCENE_vh_clean_2.ply`` a line
  (kaldir.vc.in.tum.de/scannet_benchmark/documentation, "Format for 3D Semantic Label Prediction").
- Semantic3D: a text file a station in the zip's root, the class 1..8 of one point a line; for reduced-8 the files are
  called as :data:`SEMANTIC3D_FILES` says (semantic3d.net, "File Format"; names as the authors of KPConv sent them in).
- NPM3D (Paris-Lille-3D): ``CLOUD.txt``, the class 1..9 of one point a line (npm3d.fr; layout as the authors of KPConv
  sent it in).

S3DIS, ShapeNetPart and the others publish their truth and have no such server.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from kpconv_ros.data.labelled_cloud import DatasetError
from kpconv_ros.data.scene_datasets import NPM3D_CLASSES, SCANNET_IDS, SEMANTIC3D_CLASSES
from kpconv_ros.data.semantic_kitti import KITTI_CLASSES, unmap_labels

SEMANTIC3D_FILES = {
    "MarketplaceFeldkirch_Station4_rgb_intensity-reduced": "marketsquarefeldkirch4-reduced.labels",
    "StGallenCathedral_station6_rgb_intensity-reduced": "stgallencathedral6-reduced.labels",
    "sg27_station10_rgb_intensity-reduced": "sg27_10-reduced.labels",
    "sg28_Station2_rgb_intensity-reduced": "sg28_2-reduced.labels",
}
CHUNK = 1_000_000  # labels turned into text at once
FOLDER_MODE = 0o40755 << 16 | 0x10  # external attributes of a folder: Unix mode, and the bit of MS-DOS


@dataclass(frozen=True)
class SubmissionFormat:
    """What differs between benchmarks."""

    file_of_cloud: Callable[[str], str]
    """Name in the zip of the file of a cloud."""
    ids: NDArray[np.uint32]
    """Id in the file for each of the dataset's labels, ``(C + 1,)``; the first is that of "unlabeled"."""
    is_binary: bool = False
    """Whether the ids are little-endian uint32; else each has a line."""


def kitti_file(name: str) -> str:
    """Return the place of a scan's labels.

    Raises:
        DatasetError: If the name is not ``SEQUENCE/SCAN``.
    """
    sequence, _, scan = name.partition("/")
    if not (len(sequence) == 2 and sequence.isdigit() and len(scan) == 6 and scan.isdigit()):
        raise DatasetError(f"submission of semantickitti: got a scan {name!r}, expected one such as 11/000123")
    return f"sequences/{sequence}/predictions/{scan}.label"


def semantic3d_file(name: str) -> str:
    """Return the official file name of a station of reduced-8.

    Raises:
        DatasetError: If it is none of its four.
    """
    if name not in SEMANTIC3D_FILES:
        raise DatasetError(f"submission of semantic3d: got {name!r}, expected one of {', '.join(SEMANTIC3D_FILES)}")
    return SEMANTIC3D_FILES[name]


def text_file(name: str) -> str:
    """Return the name of a text file called like the cloud."""
    return f"{name}.txt"


FORMATS = {
    "semantickitti": SubmissionFormat(kitti_file, unmap_labels(np.arange(len(KITTI_CLASSES), dtype=np.uint8)), True),
    "scannet": SubmissionFormat(text_file, np.array((0, *SCANNET_IDS), np.uint32)),
    "semantic3d": SubmissionFormat(semantic3d_file, np.arange(len(SEMANTIC3D_CLASSES), dtype=np.uint32)),
    "npm3d": SubmissionFormat(text_file, np.arange(len(NPM3D_CLASSES), dtype=np.uint32)),
}


class SubmissionWriter:
    """Writes one zip, cloud by cloud; the file has its name only when all clouds are in it.

    Use it in a ``with`` statement: what was written is thrown away if that ends with an error.
    """

    def __init__(self, dataset: str, path: Path, names: Sequence[str]) -> None:
        """Begin a zip.

        Args:
            dataset: Name of the dataset.
            path: File to write, ``.zip``; its folder is made.
            names: Clouds that it will hold; :meth:`add` them all.

        Raises:
            DatasetError: If the dataset has no online benchmark, a cloud is none of its test set's, or the path is no
                zip.
        """
        if dataset not in FORMATS:
            raise DatasetError(f"submission: got {dataset!r}, expected one with a server: {', '.join(FORMATS)}")
        if path.suffix != ".zip":
            raise DatasetError(f"submission: got {path}, expected a file that ends in .zip")
        self._format, self._path = FORMATS[dataset], path
        self._waiting = {name: self._format.file_of_cloud(name) for name in names}
        self._partial = path.with_suffix(".zip.partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._zip = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_DEFLATED)
        self._folders: set[str] = set()

    def add(self, name: str, labels: NDArray[np.integer]) -> None:
        """Write the labels ``(N,)`` of a cloud, of the dataset's classes, in the order of its points.

        Raises:
            DatasetError: If the cloud is not awaited, or a label is none of the dataset's.
        """
        if name not in self._waiting:
            raise DatasetError(f"submission: got {name!r}, expected one of {len(self._waiting)} clouds not yet written")
        highest = len(self._format.ids) - 1
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) <= highest:
            raise DatasetError(f"{name}: got labels {labels.min()} to {labels.max()}, expected 0 to {highest}")
        file_name = self._waiting.pop(name)
        self._make_folders(file_name)
        with self._zip.open(file_name, "w", force_zip64=True) as file:
            for first in range(0, len(labels), CHUNK):
                _write_ids(file, self._format.ids[labels[first : first + CHUNK]], self._format.is_binary)

    def __enter__(self) -> SubmissionWriter:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the zip its name, or throw it away after an error or without all clouds.

        Raises:
            DatasetError: If a cloud is missing.
        """
        self._zip.close()
        if kind is None and not self._waiting:
            self._partial.replace(self._path)
            return
        self._partial.unlink()
        if kind is None:
            raise DatasetError(f"submission: expected labels of {', '.join(list(self._waiting)[:5])} too, got none")

    def _make_folders(self, file_name: str) -> None:
        """Add the folders above a file as members, outermost first; the check of SemanticKITTI's server wants them."""
        for folder in reversed([f"{parent}/" for parent in Path(file_name).parents if parent != Path()]):
            if folder not in self._folders:
                self._folders.add(folder)
                info = zipfile.ZipInfo(folder)
                info.external_attr = FOLDER_MODE
                self._zip.writestr(info, b"")


def _write_ids(file: IO[bytes], ids: NDArray[np.uint32], is_binary: bool) -> None:
    if is_binary:
        file.write(ids.astype("<u4").tobytes())
    else:
        file.write(("\n".join(map(str, ids.tolist())) + "\n").encode("ascii"))
