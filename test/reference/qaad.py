# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""QAAD reassignment as Algorithm 2 is written, with the error after each accepted swap."""

from torch import Tensor


def reassign_slowly(folded: Tensor, targets: Tensor) -> tuple[list[int], list[float]]:
    """Return the target of each point of one cloud ``(n, 3)``, and the mean squared distances, the first before all."""
    distances = (folded.double()[:, None] - targets.double()[None]).square().sum(2)  # (n, n)
    slots = list(range(len(folded)))

    def error() -> float:
        return float(sum(distances[i, slot] for i, slot in enumerate(slots)) / len(slots))

    history = [error()]
    for point in range(len(folded)):
        wanted = int(distances[point].argmin())
        owner = slots.index(wanted)
        before = distances[point, slots[point]] + distances[owner, wanted]
        after = distances[point, wanted] + distances[owner, slots[point]]
        if after < before:
            slots[owner], slots[point] = slots[point], wanted
            history.append(error())
    return slots, history
