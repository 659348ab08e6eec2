# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the simulated street is made of: class numbers, names and colours."""

UNLABELED = 0
ROAD = 1
SIDEWALK = 2
TERRAIN = 3
BUILDING = 4
FENCE = 5
VEGETATION = 6
POLE = 7
CAR = 8
PERSON = 9

SIM_CLASSES: tuple[str, ...] = (
    "unlabeled",
    "road",
    "sidewalk",
    "terrain",
    "building",
    "fence",
    "vegetation",
    "pole",
    "car",
    "person",
)

SIM_COLORS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (128, 64, 128),
    (244, 35, 232),
    (152, 251, 152),
    (150, 110, 80),
    (255, 160, 60),
    (40, 130, 35),
    (240, 230, 60),
    (40, 90, 245),
    (230, 30, 50),
)
