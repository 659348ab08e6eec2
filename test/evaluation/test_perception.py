# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole system, live: four nodes as processes, a simulated drive, and what they made of it."""

import json

import jsonschema
import numpy as np
import pytest

from kpconv_ros import cli
from kpconv_ros.checkpoint import save_model
from kpconv_ros.data.recorded_scans import ScanReader, ScanSelection
from kpconv_ros.data.recordings import open_recording
from kpconv_ros.data.simulated_bag import write_simulated_bag
from kpconv_ros.data.simulator import SIM_CLASSES, SIM_COLORS, Simulator, SimulatorConfig
from kpconv_ros.evaluation.perception import options_of, simulate_drive
from kpconv_ros.evaluation.replay.outputs_record import load_outputs
from kpconv_ros.evaluation.report.build import SCHEMA_FILE
from kpconv_ros.networks.kpfcnn import KPFCNN, KPFCNNConfig
from kpconv_ros.pipelines.map_decoder import MapDecoder

NUM_SCANS = 20


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained network that knows the simulator's classes."""
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    encoder = ("simple", "residual", "strided", "residual")
    config = KPFCNNConfig(len(SIM_CLASSES) - 1, in_features=2, voxel_size=0.4, width=8, encoder=encoder)
    manifest = {"name": "tiny", "classes": SIM_CLASSES, "colors": SIM_COLORS, "features": ("one", "height")}
    save_model(folder, KPFCNN(config), {**manifest, "sphere_radius": 6.0, "intensity_scale": 1.0})
    return folder


def parse(*words):
    import argparse

    from kpconv_ros.evaluation import perception

    parser = argparse.ArgumentParser()
    perception.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.ros
@pytest.mark.slow
def test_poses_make_the_map_and_the_map_goes_over_the_link(model, tmp_path, monkeypatch, capsys):
    pytest.importorskip("evo")
    pytest.importorskip("plotly")
    monkeypatch.setenv("ROS_DOMAIN_ID", "101")  # nodes of another test cannot be heard
    words = ["--duration", str(NUM_SCANS / 10), "--azimuth-steps", "300", "--speed", "0.3", "--tail", "3"]
    words += ["--model", str(model), "--out", str(tmp_path), "--transmit", "levels:=[1100, 4600]"]
    assert cli.main(["perception", *words, "--segment", "pose_timeout:=2.0", "--moving", "car,person"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(report, json.loads(SCHEMA_FILE.read_text()))

    registration, part = report["registration"], report["transmission"]
    assert report["recording"]["pose_source"] == "register" and report["problems"] == []
    assert registration["placed"] > NUM_SCANS // 3 and registration["ate_m"]["max"] < 0.3
    assert report["scans"]["segmentation"]["answered"] > NUM_SCANS // 4 and report["segmentation"]["map_voxels"] > 500
    assert part["source"] == "map" and part["shown"] > 0.8 and part["label_agreement"] > 0.8
    assert report["nodes"]["segment"]["pose_source"] == "odometry"
    assert int(report["nodes"]["decode"]["tiles"]) == sum(row["decoded_points"] > 0 for row in part["tiles"])

    record = load_outputs(tmp_path / "record.npz")
    labels = np.concatenate([record.map_labels, record.link.given[1], record.link.decoded[1]])
    assert len(labels) and not np.isin(labels, [SIM_CLASSES.index("car"), SIM_CLASSES.index("person")]).any()
    decoder, last, agree = MapDecoder(), sorted(map(tuple, record.link.decoded[0])), []
    for _, data in record.link.messages:  # decoded a second time; some may come after the last map
        assert decoder.receive(1, data, 0.0).errors == []
        agree.append(sorted(map(tuple, decoder.points()[0].astype(np.float32))) == last)
    assert any(agree[len(agree) // 2 :])
    assert (tmp_path / "perception.png").stat().st_size > 20_000
    assert "map decoded, labels" in capsys.readouterr().out


def test_a_simulated_drive_is_read_back_as_it_was_simulated(tmp_path):
    config = SimulatorConfig(azimuth_steps=60, motion_distortion=True)
    write_simulated_bag(tmp_path / "bag", Simulator(config, 3), 4)
    recording = open_recording(tmp_path / "bag")
    assert recording.num_clouds == 4
    for index, scan in enumerate(ScanReader(recording, ScanSelection())):
        truth = Simulator(config, 3).scan(index / config.rate)
        assert np.array_equal(scan.cloud.xyz, truth.points) and np.array_equal(scan.labels, truth.labels)
        assert np.allclose(scan.pose, truth.T_map_sensor, atol=1e-9)
        assert np.array_equal(scan.cloud.points["time"], truth.time) and scan.frame_id == scan.pose_frame == "lidar"


def test_what_is_run_follows_the_arguments(tmp_path):
    args = parse("--moving", "car,person", "--rate", "128000", "--register", "num_points:=700", "--out", str(tmp_path))
    options = options_of(args, "street_sim", tmp_path)
    assert options.poses == "register" and options.mode == "live" and "transmission" in options.parts
    assert options.segment["map_classes_removed"] == options.segment["classes_removed"] == "['car', 'person']"
    assert options.segment["sensor_height"] == str(SimulatorConfig.sensor_height)
    assert (options.transmit["rate"], options.register["num_points"]) == ("128000.0", "700")
    with pytest.raises(FileNotFoundError, match="no such recording"):
        options_of(args, "street_sim", tmp_path / "absent")


def test_a_drive_is_simulated_anew(tmp_path):
    args = parse("--duration", "0.2", "--azimuth-steps", "60", "--out", str(tmp_path / "out"))
    for _ in range(2):
        assert open_recording(simulate_drive(args)).num_clouds == 2
