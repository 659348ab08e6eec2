# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Send a labelled cloud over a link of 64 kbit/s that loses a tenth of its messages, and count what arrives.

python examples/compress_map.py scan.bin received.ply
"""

import sys

import numpy as np

from kpconv_ros.data.clouds import read_cloud, write_cloud
from kpconv_ros.pipelines.map_decoder import MapDecoder
from kpconv_ros.pipelines.map_encoder import MapEncoder, MapEncoderConfig

SESSION = 1
SECONDS = 20.0
STEP = 0.05  # s between two looks at what may be sent
LOSS = 0.1


def main(source: str, target: str) -> None:
    """Send the cloud ``source`` and write what was received of it to ``target``."""
    cloud = read_cloud(source)
    labels = np.zeros(len(cloud.points), np.uint8)  # or those of a Segmenter
    encoder, decoder = MapEncoder(MapEncoderConfig(rate=64_000.0), now=0.0), MapDecoder()
    encoder.insert(cloud.points, labels, np.zeros(3), "map", now=0.0)

    random = np.random.default_rng(0)
    for now in np.arange(0.0, SECONDS, STEP):
        while (message := encoder.next_message(now)) is not None:
            if random.random() >= LOSS:
                decoder.receive(SESSION, message, now)
        missing = decoder.missing(now)  # in a real link these requests get lost too
        encoder.request(missing.absent, missing.lost, now)

    points, received_labels = decoder.points()
    write_cloud(target, points, received_labels, np.ones(len(points), np.float32))
    print(f"{len(cloud.points)} points, {len(encoder.sent)} tiles sent; {decoder.num_tiles()} tiles arrived")
    print(f"{encoder.num_bytes} bytes sent in {SECONDS:.0f} s, {len(points)} points received")


if __name__ == "__main__":
    main(*sys.argv[1:])
