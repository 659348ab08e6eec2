# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a live view showed, read from the file that Rerun wrote, and a place to serve it."""

from collections import Counter

import numpy as np
from rerun.chunk import RrdReader

from kpconv_ros.viewing.error import ViewError
from kpconv_ros.viewing.page import check_ports


def shown_in(path):
    """The last of every entity: by entity, then by component, what it holds; {} where it was cleared."""
    shown, rows = {}, {}
    for chunk in RrdReader(path).stream():
        batch = chunk.to_record_batch().to_pydict()
        for row in range(chunk.num_rows):
            values = {name.partition(":")[2]: column[row] for name, column in batch.items() if ":" in name}
            rows[batch["rerun.controls.RowId"][row]] = (chunk.entity_path, values)
    for _, (entity, values) in sorted(rows.items()):
        if "is_recursive" not in values:
            shown[entity] = values
            continue
        below = [name for name in shown if name.startswith(entity + "/") and values["is_recursive"][0]]
        shown.update(dict.fromkeys([entity, *below], {}))
    return shown


def times_drawn(path):
    """How often each entity was drawn, clearing left out."""
    drawn = Counter()
    for chunk in RrdReader(path).stream():
        is_clear = any(name.startswith("Clear:") for name in chunk.to_record_batch().schema.names)
        drawn[chunk.entity_path] += 0 if is_clear else chunk.num_rows
    return drawn


def positions_in(shown, entity):
    return np.array(shown[entity].get("positions") or [], np.float32).reshape(-1, 3)


def free_port():
    """A port with two free ones after it."""
    for port in range(20_000, 30_000, 10):
        try:
            check_ports("127.0.0.1", range(port, port + 3))
        except ViewError:
            continue
        return port
    raise AssertionError("no free ports")
