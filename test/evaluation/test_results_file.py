# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of results that several commands share."""

import json
from pathlib import Path

from kpconv_ros.evaluation.results_file import write_results


def test_keys_are_added_and_replaced_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    write_results(path, {"one": [1.5], "two": {"a": None}})
    write_results(path, {"two": 2, "three": 3})
    assert json.loads(path.read_text()) == {"one": [1.5], "two": 2, "three": 3}
