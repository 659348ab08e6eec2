# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was prepared from a dataset, kept on disk: found by name, checked, and made by all cores where it is missing.

A file is named by a digest of all that it depends on: the parameters, and path, size and time of change of the files
that it was made from. (Their contents are hundreds of gigabytes of text in some datasets; reading them would take as
long as preparing them anew.) It holds a ``.npy`` array, mapped into memory, then some bytes that belong to it, and a
checksum of both: a file that is cut off or altered is made again. Files are written under another name and then
renamed.
"""

import contextlib
import hashlib
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from kpconv_ros.data.labelled_cloud import DatasetError

FOOTER = struct.Struct("<QI")  # length of the bytes after the array, CRC-32 of them and the array


class PrepareTask(Protocol):
    """What a process is told: to make one file."""

    @property
    def target(self) -> Path:
        """File to write."""


TaskT = TypeVar("TaskT", bound=PrepareTask)
LoadedT = TypeVar("LoadedT")


def default_folder() -> Path:
    """Return where prepared files are kept: ``$XDG_CACHE_HOME/kpconv_ros``, or ``~/.cache/kpconv_ros``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kpconv_ros"


def digest_of(parameters: Sequence[Any], files: Iterable[Path]) -> str:
    """Return the part of a file's name that tells what it depends on: JSON values, and files that exist."""
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(json.dumps([*parameters, stats]).encode()).hexdigest()[:24]


def load_or_prepare(
    tasks: Sequence[TaskT],
    load: Callable[[Path], LoadedT | None],
    prepare: Callable[[TaskT], None],
    num_processes: int,
    unit: str,
) -> list[LoadedT]:
    """Load the files of all tasks, and make those first that are missing or not whole.

    Args:
        tasks: One for each file.
        load: Reads a file; None if there is none, or it is not whole.
        prepare: Makes a file, possibly in another process.
        num_processes: Processes that prepare; 0 is one for each core.
        unit: What a file is, for the progress bar.

    Raises:
        DatasetError: If a file cannot be made.
    """
    found = [load(task.target) for task in tasks]
    missing = [row for row, loaded in enumerate(found) if loaded is None]
    _prepare_all(prepare, [tasks[row] for row in missing], num_processes or len(os.sched_getaffinity(0)), unit)
    for row in missing:
        found[row] = load(tasks[row].target)
    lost = [str(task.target) for task, loaded in zip(tasks, found, strict=True) if loaded is None]
    if lost:
        raise DatasetError(f"{lost[0]}: was written, but cannot be read back; is the disk full or damaged?")
    return [loaded for loaded in found if loaded is not None]


def _prepare_all(prepare: Callable[[TaskT], None], tasks: list[TaskT], num_processes: int, unit: str) -> None:
    bar = tqdm(total=len(tasks), desc="preparing", unit=unit, disable=not tasks)
    with bar:
        if min(num_processes, len(tasks)) <= 1:
            for task in tasks:
                prepare(task)
                bar.update()
            return
        # Not forked from here: torch's threads would be lost. The server imports torch once for all.
        context = get_context("forkserver")
        context.set_forkserver_preload([prepare.__module__])
        pool = ProcessPoolExecutor(min(num_processes, len(tasks)), context, torch.set_num_threads, (1,))
        try:
            for future in as_completed([pool.submit(prepare, task) for task in tasks]):
                future.result()
                bar.update()
        except BrokenProcessPool as error:
            raise DatasetError(
                f"a process that prepared files was killed ({error}): is there too little memory?"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def write_prepared(table: NDArray[np.void], beside: bytes, target: Path) -> None:
    """Write an array and the bytes that belong to it, at once or not at all; the folder is made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, table)
            file.write(beside + FOOTER.pack(len(beside), _checksum(table, beside)))
        Path(temporary).chmod(0o644)  # mkstemp lets only the owner read
        Path(temporary).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def load_prepared(path: Path, row: np.dtype[Any]) -> tuple[NDArray[Any], bytes] | None:
    """Map the array ``(N,)`` of a file into memory and read its bytes; None if there is none or it is not whole.

    Args:
        path: What :func:`write_prepared` wrote.
        row: Type of the array.
    """
    try:
        table: NDArray[Any] = np.asarray(np.lib.format.open_memmap(path, mode="r"))
        with path.open("rb") as file:
            end = file.seek(-FOOTER.size, os.SEEK_END)
            length, checksum = FOOTER.unpack(file.read())
            file.seek(end - length)
            beside = file.read(length)
    except (OSError, ValueError, EOFError, SyntaxError, OverflowError):  # all that damaged files lead to
        return None
    if table.dtype != row or table.ndim != 1 or _checksum(table, beside) != checksum:
        return None
    return table, beside


def _checksum(table: NDArray[np.void], beside: bytes) -> int:
    return zlib.crc32(beside, zlib.crc32(table.view(np.uint8).data))
