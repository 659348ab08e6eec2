# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cloud files: what is written is read again, by us and by others, and damage is reported."""

import resource

import numpy as np
import pytest

from kpconv_ros.data.clouds import READABLE, WRITABLE, CloudError, read_cloud, write_cloud

NUM_POINTS = 40


@pytest.fixture
def scan():
    """Fields of a small labelled cloud."""
    rng = np.random.default_rng(1)
    return {
        "points": rng.normal(0, 20, (NUM_POINTS, 3)).astype(np.float32),
        "labels": rng.integers(0, 20, NUM_POINTS).astype(np.uint8),
        "confidence": rng.random(NUM_POINTS, dtype=np.float32),
        "colors": rng.integers(0, 256, (NUM_POINTS, 3)).astype(np.uint8),
        "intensity": rng.random(NUM_POINTS, dtype=np.float32),
    }


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npz", ".las", ".laz"])
def test_points_intensity_and_labels_come_back(tmp_path, scan, suffix):
    if suffix == ".laz":
        pytest.importorskip("lazrs")
    path = tmp_path / f"cloud{suffix}"
    write_cloud(path, **scan)
    cloud = read_cloud(path)
    tolerance = 6e-4 if suffix in (".las", ".laz") else 0.0
    np.testing.assert_allclose(cloud.points, scan["points"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(cloud.intensity, scan["intensity"], rtol=0, atol=tolerance)
    assert (cloud.labels == scan["labels"]).all()


def test_a_numpy_file_has_columns(tmp_path, scan):
    write_cloud(tmp_path / "cloud.npy", **scan)
    table = np.load(tmp_path / "cloud.npy")
    expected = [scan["points"], scan["intensity"], scan["labels"], scan["confidence"]]
    np.testing.assert_array_equal(table, np.column_stack(expected))
    np.testing.assert_array_equal(read_cloud(tmp_path / "cloud.npy").intensity, scan["intensity"])


def test_a_label_file_holds_uint32(tmp_path, scan):
    write_cloud(tmp_path / "scan.label", scan["points"], scan["labels"].astype(np.uint32) + 252)
    assert (np.fromfile(tmp_path / "scan.label", np.uint32) == scan["labels"].astype(int) + 252).all()


def test_a_kitti_scan_is_read(tmp_path, scan):
    np.column_stack([scan["points"], scan["intensity"]]).tofile(tmp_path / "scan.bin")
    cloud = read_cloud(tmp_path / "scan.bin")
    assert (cloud.points == scan["points"]).all() and (cloud.intensity == scan["intensity"]).all()


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_open3d_reads_what_we_write_and_we_read_what_it_writes(tmp_path, scan, suffix):
    o3d = pytest.importorskip("open3d")
    ours, theirs = str(tmp_path / f"ours{suffix}"), str(tmp_path / f"theirs{suffix}")
    write_cloud(ours, **scan)
    cloud = o3d.t.io.read_point_cloud(ours)
    np.testing.assert_array_equal(cloud.point.positions.numpy(), scan["points"])
    np.testing.assert_array_equal(cloud.point.colors.numpy(), scan["colors"])
    np.testing.assert_array_equal(cloud.point.label.numpy()[:, 0], scan["labels"])
    np.testing.assert_array_equal(cloud.point.confidence.numpy()[:, 0], scan["confidence"])
    ways = [{}, {"write_ascii": True}] + ([{"compressed": True}] if suffix == ".pcd" else [])
    for way in ways:
        o3d.t.io.write_point_cloud(theirs, cloud, **way)
        again = read_cloud(theirs)
        np.testing.assert_allclose(again.points, scan["points"], rtol=0, atol=1e-4)
        assert (again.labels == scan["labels"]).all()


def test_an_ascii_pcd_with_padding_and_counts_is_read(tmp_path):
    text = "VERSION 0.7\nFIELDS x y z _ normal\nSIZE 4 4 4 1 4\nTYPE F F F U F\nCOUNT 1 1 1 2 3\n"
    text += "WIDTH 2\nHEIGHT 1\nPOINTS 2\nDATA ascii\n1 2 3 0 0 7 8 9\nnan 5 6 0 0 7 8 9\n"
    (tmp_path / "a.pcd").write_text(text)
    cloud = read_cloud(tmp_path / "a.pcd")
    assert cloud.points[0].tolist() == [1, 2, 3] and np.isnan(cloud.points[1, 0])


def ply_with_faces(order: str) -> bytes:
    kind = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    header = f"ply\nformat {kind} 1.0\ncomment by hand\nelement vertex 2\nproperty double x\n"
    header += "property double y\nproperty double z\nproperty uchar scalar_Intensity\n"
    header += "element face 0\nproperty list uchar int vertex_indices\nend_header\n"
    types = [(axis, order + "f8") for axis in "xyz"] + [("i", "u1")]
    return header.encode() + np.array([(1, 2, 3, 4), (5, 6, 7, 8)], types).tobytes()


def test_a_ply_with_faces_is_read(tmp_path):
    (tmp_path / "a.ply").write_bytes(ply_with_faces("<"))
    cloud = read_cloud(tmp_path / "a.ply")
    assert cloud.points.tolist() == [[1, 2, 3], [5, 6, 7]] and cloud.intensity.tolist() == [4, 8]


def test_a_big_endian_ply_is_refused_rather_than_read_wrongly(tmp_path):
    (tmp_path / "a.ply").write_bytes(ply_with_faces(">"))
    with pytest.raises(CloudError, match="big-endian"):
        read_cloud(tmp_path / "a.ply")


def test_coordinates_of_a_map_grid_keep_their_millimetres(tmp_path):
    utm = np.array([[500_000.123, 5_400_000.456, 300.0], [500_010.789, 5_400_020.001, 301.0]])
    np.save(tmp_path / "utm.npy", utm)
    cloud = read_cloud(tmp_path / "utm.npy")
    np.testing.assert_allclose(cloud.points + cloud.origin, utm, rtol=0, atol=1e-4)
    for suffix in (".las", ".ply", ".pcd", ".npy", ".npz"):
        write_cloud(tmp_path / f"out{suffix}", cloud.points, origin=cloud.origin)
        again = read_cloud(tmp_path / f"out{suffix}")
        np.testing.assert_allclose(again.points + again.origin, utm, rtol=0, atol=1e-3)


@pytest.mark.parametrize("suffix", READABLE)
def test_an_absent_an_empty_and_a_senseless_file_are_errors(tmp_path, suffix):
    for name, content in (("absent", None), ("empty", b""), ("senseless", b"hello cloud\n" * 7 + b"!")):
        path = tmp_path / f"{name}{suffix}"
        if content is not None:
            path.write_bytes(content)
        if suffix == ".bin" and name == "empty":
            assert len(read_cloud(path).points) == 0
            continue
        with pytest.raises(CloudError, match=name):
            read_cloud(path)


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npy", ".npz", ".las"])
def test_a_truncated_file_is_an_error(tmp_path, scan, suffix):
    path = tmp_path / f"cloud{suffix}"
    write_cloud(path, **scan)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CloudError, match="cloud"):
        read_cloud(path)


def test_a_scan_whose_size_is_not_a_multiple_of_16_is_an_error(tmp_path):
    (tmp_path / "scan.bin").write_bytes(b"x" * 100)
    with pytest.raises(CloudError, match="got 100 bytes, expected a multiple of 16"):
        read_cloud(tmp_path / "scan.bin")


def test_unknown_suffixes_are_named_with_those_that_are_known(tmp_path, scan):
    with pytest.raises(CloudError, match=r"'.xyz', expected one of .bin"):
        read_cloud(tmp_path / "cloud.xyz")
    with pytest.raises(CloudError, match=r"'.obj', expected one of"):
        write_cloud(tmp_path / "cloud.obj", scan["points"])


@pytest.mark.parametrize("suffix", WRITABLE)
def test_a_disk_that_is_full_half_way_is_an_error(tmp_path, suffix):
    if suffix == ".laz":
        pytest.importorskip("lazrs")
    points = np.random.default_rng(0).random((5000, 3), np.float32)
    path, limits = tmp_path / f"cloud{suffix}", resource.getrlimit(resource.RLIMIT_FSIZE)
    write_cloud(path, points, np.ones(5000, np.uint8))
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, limits[1]))
    try:
        with pytest.raises(CloudError):
            write_cloud(path, points, np.ones(5000, np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("suffix", WRITABLE)
def test_another_number_of_labels_than_points_is_an_error(tmp_path, scan, suffix):
    with pytest.raises(CloudError, match="got 39 label for 40 points"):
        write_cloud(tmp_path / f"cloud{suffix}", scan["points"], scan["labels"][1:])


def test_las_refuses_points_that_are_not_finite(tmp_path, scan):
    scan["points"][3, 1] = np.nan
    with pytest.raises(CloudError, match="not finite"):
        write_cloud(tmp_path / "cloud.las", **scan)


def test_numpy_arrays_of_wrong_shape_are_errors(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(12))
    np.savez(tmp_path / "unnamed.npz", np.zeros((4, 3)))
    with pytest.raises(CloudError, match=r"\(12,\).*expected \(N, 3\)"):
        read_cloud(tmp_path / "flat.npy")
    with pytest.raises(CloudError, match="expected 'points'"):
        read_cloud(tmp_path / "unnamed.npz")


def test_a_truncated_ascii_ply_is_an_error(tmp_path):
    lines = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    (tmp_path / "a.ply").write_text(lines + "end_header\n1 2 3\n4 5 6\n")
    with pytest.raises(CloudError, match="2 lines of points, expected 3"):
        read_cloud(tmp_path / "a.ply")
