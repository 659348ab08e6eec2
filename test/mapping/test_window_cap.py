# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No second has more than the cap."""

import numpy as np

from kpconv_ros.mapping.window_cap import WindowCap


def test_by_hand():
    cap = WindowCap(1000, 1.0)
    assert cap.room(10.0) == 1000
    cap.take(600, 10.0)
    cap.take(300, 10.5)
    assert (cap.room(10.9), cap.room(11.0), cap.room(11.49), cap.room(11.5)) == (100, 700, 700, 1000)


def test_no_window_is_above_the_cap_and_a_busy_sender_uses_it_all():
    random, cap = np.random.default_rng(0), WindowCap(8000, 1.0)
    times, sizes = [], []
    now = 0.0
    while now < 60.0:
        now += random.exponential(0.01) if random.random() > 0.002 else 1.5  # now and then there is nothing to send
        size = min(int(random.integers(50, 1500)), cap.room(now))
        if size > 0:
            cap.take(size, now)
            times.append(now)
            sizes.append(size)
    sent, at = np.r_[0, np.cumsum(sizes)], np.array(times)
    in_window = [sent[np.searchsorted(at, start + 1.0)] - sent[i] for i, start in enumerate(at)]
    assert max(in_window) == 8000
    assert sent[-1] > 0.8 * 8000 * 60
