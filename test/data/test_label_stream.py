# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels of many scans in one file, and the log of publications beside it."""

import numpy as np
import pytest

from kpconv_ros.data.bags import BagError
from kpconv_ros.data.label_stream import LabelStreamReader, LabelStreamWriter
from kpconv_ros.data.publication_log import PublicationLog, read_publications


@pytest.fixture
def stream(tmp_path):
    """A file with scans of 0, 5 and 1000 points."""
    writer, scans = LabelStreamWriter(tmp_path / "record.labels"), {}
    for stamp, num_points in ((30, 0), (10, 5), (20, 1000)):
        random = np.random.default_rng(stamp)
        scans[stamp] = (random.integers(0, 256, num_points).astype(np.uint8), random.random(num_points))
        writer.add(stamp, stamp + 1, *scans[stamp])
    writer.close()
    return tmp_path / "record.labels", scans


def test_labels_come_back_by_stamp(stream):
    path, scans = stream
    reader = LabelStreamReader(path)
    assert len(reader) == 3 and reader.labels_at(11) is None
    for stamp, (labels, confidence) in scans.items():
        got = reader.labels_at(stamp)
        assert np.array_equal(got.labels, labels)
        assert np.allclose(got.confidence, confidence, atol=5e-4)


@pytest.mark.parametrize("cut", [1, 2999, 3010])
def test_a_scan_that_was_cut_off_is_left_out(stream, cut):
    path, scans = stream
    path.write_bytes(path.read_bytes()[:-cut])
    reader = LabelStreamReader(path)
    assert len(reader) == 2 and reader.labels_at(20) is None
    assert np.array_equal(reader.labels_at(10).labels, scans[10][0])


def test_the_last_of_two_scans_with_one_stamp_counts(tmp_path):
    writer = LabelStreamWriter(tmp_path / "a.labels")
    writer.add(1, 1, np.array([1], np.uint8), np.ones(1))
    writer.add(1, 2, np.array([2, 3], np.uint8), np.ones(2))
    writer.close()
    assert LabelStreamReader(tmp_path / "a.labels").labels_at(1).labels.tolist() == [2, 3]


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(BagError, match="got no recorded labels"):
        LabelStreamReader(tmp_path / "absent.labels")


def test_publications_come_back_in_their_order(tmp_path):
    log = PublicationLog(tmp_path / "folder" / "published.log")
    for stamp in (5, 3, 9):
        log.note(stamp)
    log.close()
    published = read_publications(tmp_path / "folder" / "published.log")
    assert list(published) == [5, 3, 9] and list(published.values()) == sorted(published.values())


def test_what_is_no_log_is_told(tmp_path):
    (tmp_path / "a.log").write_text("no log\nof anything\n")
    for name in ("a.log", "absent.log"):
        with pytest.raises(BagError, match="got no log of publications"):
            read_publications(tmp_path / name)
    with pytest.raises(BagError, match="expected a file to write"):
        PublicationLog(tmp_path / "a.log" / "b.log")
