# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps as files: encode, decode, and what is refused."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from kpconv_ros import cli
from kpconv_ros.codec.error import CodecError
from kpconv_ros.codec.packet import Packet
from kpconv_ros.codec.tile import TileKey
from kpconv_ros.codec.tile_file import TileFile, pack_tile_file, unpack_tile_file
from kpconv_ros.data.clouds import read_cloud, write_cloud

FILE = TileFile((4e5, 5e6, -1.5), [Packet(1, 7, TileKey(-3, 4), 1, b"payload"), Packet(2, 8, TileKey(0, 0), 2, b"")])


def test_a_file_comes_back():
    assert unpack_tile_file(pack_tile_file(FILE)) == FILE
    assert unpack_tile_file(pack_tile_file(FILE._replace(packets=[]))).packets == []


def test_every_cut_and_every_flipped_bit_is_refused():
    data = pack_tile_file(FILE)
    whole = {len(pack_tile_file(FILE._replace(packets=FILE.packets[:count]))) for count in range(3)}
    for length in set(range(len(data))) - whole:
        with pytest.raises(CodecError):
            unpack_tile_file(data[:length])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            unpack_tile_file(bytes(damaged))


@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (448000.0, 5411000.0, 110.0)])
def test_a_cloud_comes_back_from_the_commands(tmp_path, capsys, offset):
    random = np.random.default_rng(0)
    points = random.uniform((-30, -30, 0), (30, 30, 0.1), (20000, 3))
    labels = np.where(points[:, 0] > 0, 3, 8)
    source, tiles, out = tmp_path / "in.npz", tmp_path / "map.kptm", tmp_path / "out.npz"
    np.savez(source, points=points + offset, label=labels)
    assert cli.main(["encode", str(source), "-o", str(tiles), "--max-bytes", "2000"]) == 0
    assert "16 tiles by draco" in capsys.readouterr().out and tiles.stat().st_size < 16 * 2030
    assert cli.main(["decode", str(tiles), "-o", str(out)]) == 0
    decoded = read_cloud(out)
    distances, nearest = cKDTree(decoded.points + decoded.origin).query(points + offset)
    assert distances.max() < 0.8
    assert (decoded.labels[nearest] == labels).mean() > 0.97


def test_what_is_no_map_is_one_line(tmp_path, capsys):
    cloud = tmp_path / "cloud.ply"
    write_cloud(cloud, np.zeros((1, 3), np.float32))
    assert cli.main(["decode", str(cloud), "-o", str(tmp_path / "out.ply")]) == 2
    assert "expected a map with b'KPTM'" in capsys.readouterr().err


def test_too_few_bytes_leave_tiles_out_and_say_so(tmp_path, capsys):
    source = tmp_path / "in.npy"
    np.save(source, np.random.default_rng(0).uniform(0, 19, (3000, 3)))
    assert cli.main(["encode", str(source), "-o", str(tmp_path / "map"), "--max-bytes", "50"]) == 0
    assert "1 tiles are left out" in capsys.readouterr().out
