# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The still part of the street: blocks are made when they come into reach and forgotten when out of it."""

from math import floor

from kpconv_ros.data.simulation.ground import Ground
from kpconv_ros.data.simulation.shapes import Shapes, merge
from kpconv_ros.data.simulation.street_block import StreetBlock
from kpconv_ros.data.simulation.street_layout import StreetLayout

REACH = 90.0  # m, how much of the street exists around the sensor


class Street:
    """Everything that stands still, around any position."""

    def __init__(self, layout: StreetLayout) -> None:
        self.layout = layout
        self._blocks: dict[int, Shapes] = {}
        self._window = (0, -1)
        self._shapes = merge([])
        self._ground = layout.ground_of_blocks(0, 0)

    def around(self, x: float) -> tuple[Shapes, Ground]:
        """Shapes and ground within ``REACH`` of position x along the street, metres."""
        length = self.layout.block_length
        window = (floor((x - REACH) / length), floor((x + REACH) / length))
        if window != self._window:
            blocks = range(window[0], window[1] + 1)
            self._blocks = {k: self._blocks[k] if k in self._blocks else self._make_block(k) for k in blocks}
            self._shapes = merge(list(self._blocks.values()))
            self._ground = self.layout.ground_of_blocks(*window)
            self._window = window
        return self._shapes, self._ground

    def _make_block(self, block: int) -> Shapes:
        return StreetBlock(self.layout, block).build()
