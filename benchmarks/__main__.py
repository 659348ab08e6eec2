# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run every benchmark of this folder, each in processes of its own, and print all rows as one table.

``python -m benchmarks [NAME ...]`` runs those named, or all. Modules that begin with an underscore are shared pieces.
Each runs twice, with the default and with the tuned allocator, which glibc reads from the environment at start.
"""

import json
import os
import pkgutil
import random
import subprocess
import sys
import time
from pathlib import Path

from benchmarks._inputs import DRIVE, FOLDER, load_drive, source
from benchmarks._measure import HEADER, TUNED, Row, print_row

ALLOCATORS = {"default": {}, "tuned": TUNED}
DEFAULT_ONLY = ("emkd", "gpu", "node_overhead", "odometry")  # no large temporaries, or not in a heap that is set here


def run(name: str, allocator: str) -> bool:
    """Run one benchmark under one allocator; tell whether it ended well."""
    print(f"== {name}, {allocator} allocator", flush=True)
    environment = {key: value for key, value in os.environ.items() if key not in TUNED}
    environment |= ALLOCATORS[allocator]
    environment.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    return (
        subprocess.run(command, cwd=Path(__file__).resolve().parent.parent, env=environment, check=False).returncode
        == 0
    )


def print_table(names: list[str]) -> None:
    """Print the rows that the benchmarks wrote."""
    print(f"\ntime ratios are peer / ours, above 1 ours is faster; scans: {source()}\n{HEADER}")
    for name in names:
        for path in (FOLDER / f"{name}.json", FOLDER / f"{name}_tuned.json"):
            for row in json.loads(path.read_text()) if path.exists() else []:
                print_row(Row(**row))


def main(names: list[str]) -> int:
    """Run the benchmarks and return 1 when one of them failed."""
    folder = Path(__file__).resolve().parent
    known = sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_"))
    unknown = set(names) - set(known)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    DRIVE.unlink(missing_ok=True)
    load_drive()  # simulated once, for all
    failed = []
    for name in names or known:
        for allocator in ALLOCATORS:
            (FOLDER / f"{name}{'_tuned' if allocator == 'tuned' else ''}.json").unlink(missing_ok=True)
            if (allocator == "default" or name not in DEFAULT_ONLY) and not run(name, allocator):
                failed.append(f"{name} ({allocator})")
    print_table(names or known)
    print(f"{time.monotonic() - started:.0f} s; rows in {FOLDER}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
