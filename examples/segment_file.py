# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label every point of a cloud and write the points that are nothing but road.

python examples/segment_file.py scan.bin road.ply
"""

import sys

from kpconv_ros.data.clouds import read_cloud, write_cloud
from kpconv_ros.pipelines.segmenter import Segmenter


def main(source: str, target: str) -> None:
    """Segment ``source`` (.bin, .pcd, .ply, .las, .laz, .npy) and write its road to ``target``."""
    cloud = read_cloud(source)
    segmenter = Segmenter.from_pretrained("street_sim")
    result = segmenter.segment(cloud.points, cloud.intensity)

    for label, name in enumerate(result.classes):
        print(f"{name:<12}{(result.labels == label).sum():>8} points")
    is_road = result.labels == result.classes.index("road")
    write_cloud(target, cloud.points[is_road], result.labels[is_road], result.confidence[is_road])
    print(f"{is_road.sum()} points of road written to {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
