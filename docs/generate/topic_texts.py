# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each topic and service of a node carries. A test compares the names with the running nodes."""

DIAGNOSTICS = "once a second: state, input, received, processed, dropped, refused, times, and what is wrong"
ENABLED = "scans are worked on, or not; as the parameter `enabled`"
ODOMETRY = "pose of the sensor, or of a frame that the extrinsic is for; where TF is not used"
TIMES = {
    "preprocess": "reading the cloud, its pose, the map [ms]",
    "inference": "spheres through the network [ms]",
    "registration": "laying the scan on the map [ms]",
    "postprocess": "labels or pose to message [ms]",
    "total": "the whole scan [ms]",
    "pipeline_latency": "from the scan's stamp to its publication [ms]; not where the clocks differ",
}
SEGMENT_TIMES = ("preprocess", "inference", "postprocess", "total", "pipeline_latency")
REGISTER_TIMES = ("preprocess", "registration", "postprocess", "total", "pipeline_latency")
LAYOUTS = "any layout of fields; best effort or reliable, as its publishers are"


def _times(*names: str) -> dict[str, str]:
    return {f"~/debug/{name}_ms": TIMES[name] for name in names}


TEXTS: dict[str, dict[str, str]] = {
    "segment": {
        "~/input/points": LAYOUTS,
        "~/input/odometry": ODOMETRY,
        "~/output/labels": "every point and field of the input, and `label` (uint8) and `confidence` (float32)",
        "~/output/colored": "finite points with the colour of their label",
        "~/output/filtered": "as `labels`, the classes of `classes_kept` without those of `classes_removed`",
        "~/output/map": "voted voxels with `label`, `confidence`, colour; without `map_classes_removed`",
        "~/output/label_info": "names and colours of the labels",
        **_times(*SEGMENT_TIMES),
        "/diagnostics": DIAGNOSTICS,
        "~/reset": "empties the map",
        "~/set_enabled": ENABLED,
        "~/save_map": "writes the voted map as .ply or .pcd",
    },
    "register": {
        "~/input/points": LAYOUTS,
        "~/input/map_tile": "another robot's map",
        "~/output/odometry": "pose and twist of `base_frame` in `odom_frame` with covariances, at the scan's stamp",
        "~/output/path": "believed poses, every `path_spacing` metres",
        "~/output/sampled": "the points that were registered, all their fields, best first",
        "~/output/deskewed": "the scan as if measured at its stamp, without its field of times",
        "~/output/map_tile": "the map in at most 4 kB, every `tile_period` seconds",
        **_times(*REGISTER_TIMES),
        "/diagnostics": DIAGNOSTICS,
        "~/reset": "forgets all; the next scan begins a new odometry frame",
        "~/set_enabled": ENABLED,
        "~/register_map": "finds another robot's map in the own one",
    },
    "encode": {
        "~/input/map": "labelled clouds in the map frame, an empty one where it begins anew; with `input: map`",
        "~/input/points": "labelled scans; with `input: scans`",
        "~/input/odometry": ODOMETRY + "; with `input: scans`",
        "~/input/requests": "tiles that a receiver lacks; over the link",
        "~/output/latents": "packets of coded tiles; over the link, within `rate`",
        "/diagnostics": DIAGNOSTICS,
        "~/reset": "empties the map and begins a new session",
        "~/set_enabled": ENABLED,
    },
    "decode": {
        "~/input/latents": "packets of coded tiles; over the link",
        "~/output/requests": "tiles that are missing; over the link, every `request_period`",
        "~/output/map": "the received map with its labels, every `map_period`",
        "/diagnostics": DIAGNOSTICS,
        "~/reset": "empties the map",
        "~/set_enabled": ENABLED,
    },
    "simulate": {
        "lidar/points": "the simulated scan: x, y, z, intensity, ring, time",
        "lidar/true_map": "the labelled points so far, as a perfect segmentation would publish them; with `map_period`",
        "lidar/ground_truth": "the same points with their true `label`",
        "odom": "true pose of the lidar",
    },
    "replay": {
        "lidar/points": "recorded clouds, byte by byte",
        "lidar/ground_truth": "labelled clouds, where the recording has them",
        "odom": "recorded odometry, where there is one",
        "/clock": "recorded time, with `clock: true`",
        "segment/output/labels": "the consumer's answers, in the modes lockstep and as_fast; `ack_topic`",
    },
    "view": {
        "lidar/points": "raw scans; only while nobody publishes labelled ones",
        "segment/output/labels": "labelled scans",
        "segment/output/map": "the voted map",
        "segment/output/label_info": "names and colours of the labels",
        "decode/output/map": "the map that came over a link",
        "odom": "pose of the sensor, or of a frame that the extrinsic is for; where TF is not used",
        "register/output/path": "the way that registration believes",
        **{f"segment/debug/{name}_ms": TIMES[name] for name in SEGMENT_TIMES},
        **{f"register/debug/{name}_ms": TIMES[name] for name in REGISTER_TIMES},
        "/diagnostics": "what the nodes say of themselves, and how much was sent",
    },
}
