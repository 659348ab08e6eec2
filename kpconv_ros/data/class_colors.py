# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Colours of classes: red, green, blue, 0-255, in the order of the classes, the first black for what is unlabelled.

They are those that codes of the datasets and their benchmarks publish: S3DIS the ``indoor3d_util.py`` of PointNet,
ScanNet the ``BenchmarkScripts/util.py`` of its authors, Semantic3D the ``provider.py`` of superpoint_graph (the code of
its authors has none), ShapeNetPart the ``part_color_mapping.json`` that comes with PointNet's copy of it, ika the
``SqueezeSegV2.py`` of PCLSegmentation. The codes of NPM3D's and ModelNet40's authors and of KPConv publish none for
these: their classes get :func:`spread_colors`.
"""

import colorsys

Colors = tuple[tuple[int, int, int], ...]
BLACK = (0, 0, 0)
GOLDEN_RATIO = 0.618034  # of a turn: hues in this step never come close to one of the few before

S3DIS_COLORS: Colors = (
    BLACK,
    *((0, 255, 0), (0, 0, 255), (0, 255, 255), (255, 255, 0), (255, 0, 255), (100, 100, 255), (200, 200, 100)),
    *((255, 0, 0), (170, 120, 200), (10, 200, 100), (200, 100, 100), (200, 200, 200), (50, 50, 50)),
)
SCANNET_COLORS: Colors = (
    BLACK,
    *((174, 199, 232), (152, 223, 138), (31, 119, 180), (255, 187, 120), (188, 189, 34), (140, 86, 75)),
    *((255, 152, 150), (214, 39, 40), (197, 176, 213), (148, 103, 189), (196, 156, 148), (23, 190, 207)),
    *((247, 182, 210), (219, 219, 141), (255, 127, 14), (158, 218, 229), (44, 160, 44), (112, 128, 144)),
    *((227, 119, 194), (82, 84, 163)),
)
SEMANTIC3D_COLORS: Colors = (
    BLACK,
    *((200, 200, 200), (0, 70, 0), (0, 255, 0), (255, 255, 0), (255, 0, 0), (148, 0, 211), (0, 255, 255)),
    (255, 8, 127),
)
IKA_COLORS: Colors = (
    BLACK,
    *((128, 64, 128), (244, 35, 232), (70, 70, 70), (153, 153, 153), (107, 142, 35), (220, 20, 60), (255, 0, 0)),
    *((0, 0, 142), (0, 0, 70), (0, 60, 100)),
)
SHAPENET_PART_COLORS: Colors = (
    BLACK,
    *((166, 242, 13), (89, 13, 89), (166, 89, 166), (242, 242, 166), (242, 166, 13), (89, 13, 13), (166, 13, 13)),
    *((166, 89, 242), (13, 13, 166), (166, 13, 89), (13, 89, 89), (166, 166, 89), (89, 242, 13), (13, 89, 166)),
    *((242, 242, 89), (166, 166, 166), (242, 242, 13), (166, 89, 13), (89, 166, 13), (242, 166, 242), (242, 89, 166)),
    *((13, 166, 242), (166, 242, 166), (242, 89, 242), (13, 13, 242), (166, 13, 242), (166, 13, 166), (89, 89, 242)),
    *((242, 242, 242), (13, 13, 13), (13, 89, 242), (166, 242, 242), (242, 13, 13), (89, 242, 89), (13, 89, 13)),
    *((13, 166, 89), (13, 242, 13), (242, 166, 166), (89, 242, 242), (13, 242, 89), (242, 89, 13), (166, 89, 89)),
    *((89, 242, 166), (89, 89, 166), (166, 242, 89), (13, 242, 166), (166, 166, 242), (89, 13, 242), (89, 166, 242)),
    *((89, 13, 166),),
)


def spread_colors(num_classes: int) -> Colors:
    """Return a colour for each class, hues far apart, every other one darker, always the same."""
    hues = (label * GOLDEN_RATIO % 1 for label in range(num_classes))
    colors = [colorsys.hsv_to_rgb(hue, 1.0, 1.0 if label % 2 else 0.7) for label, hue in enumerate(hues)]
    rounded = [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in colors]
    return (BLACK, *rounded[1:])
