# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of results that several commands share, each under keys of its own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Put results under their keys into a JSON file; other keys stay. File and folder are made where absent."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**known, **results}, indent=1) + "\n", encoding="utf-8")
