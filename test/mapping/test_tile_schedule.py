# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The most useful tile goes first."""

import pytest

from kpconv_ros.mapping.tile_schedule import Choice, Code, TileSchedule, TileScheduleConfig

LEVELS = (300, 1000, 4000)
HERE = (10.0, 10.0)  # the middle of tile (0, 0)


@pytest.fixture
def schedule():
    return TileSchedule(TileScheduleConfig(min_change=0.05, min_period=1.0), LEVELS, 20.0)


def sent(schedule, key, level, now, sequence=1, num_bytes=None, is_finest=False):
    num_bytes = LEVELS[level] if num_bytes is None else num_bytes
    code = Code(level, sequence, num_bytes, schedule.states[key].num_changes, is_finest)
    schedule.note_sent(key, code, now)
    return code


def send(schedule, choice, now, sequence=1):
    return sent(schedule, choice.key, choice.level, now, sequence)


def test_nothing_is_chosen_of_nothing(schedule):
    assert schedule.choose(HERE, 0.0) is None


def test_the_nearer_of_two_alike_goes_first(schedule):
    for key in ((3, 0), (1, 0), (-4, 2)):
        schedule.note_change(key, 1000, 1000, 0.0)
    assert schedule.choose(HERE, 0.0) == Choice((1, 0), 0)


def test_the_one_with_more_new_points_goes_first(schedule):
    schedule.note_change((1, 0), 1000, 1000, 0.0)
    schedule.note_change((-1, 0), 1000, 300, 0.0)
    assert schedule.choose(HERE, 0.0).key == (1, 0)


def test_a_tile_far_away_has_its_turn_after_a_while(schedule):
    schedule.note_change((6, 0), 1000, 1000, 0.0)
    for second in range(200):
        schedule.note_change((0, 0), 1000, 1000, float(second))
        choice = schedule.choose(HERE, second + 0.5)
        if choice.key == (6, 0):
            break
        send(schedule, choice, second + 0.5)
    assert 1 <= second < 10


def test_tiles_of_few_points_are_not_sent(schedule):
    schedule.note_change((0, 0), 29, 29, 0.0)
    assert schedule.choose(HERE, 0.0) is None and schedule.backlog() == (0, 0)
    schedule.note_change((0, 0), 30, 1, 0.0)
    assert schedule.choose(HERE, 0.0).key == (0, 0) and schedule.backlog() == (1, LEVELS[0])


def test_with_room_left_every_level_is_sent_once_and_then_nothing(schedule):
    schedule.note_change((0, 0), 1000, 1000, 0.0)
    levels = []
    for now in range(0, 20, 2):
        choice = schedule.choose(HERE, float(now))
        if choice is not None:
            levels.append(choice.level)
            send(schedule, choice, float(now))
    assert levels == [0, 1, 2]


def test_codes_of_a_tile_keep_their_period(schedule):
    schedule.note_change((0, 0), 1000, 1000, 0.0)
    send(schedule, schedule.choose(HERE, 0.0), 0.0)
    assert schedule.choose(HERE, 0.9) is None
    assert schedule.choose(HERE, 1.0) == Choice((0, 0), 1)


def test_a_changed_tile_is_never_sent_coarser_than_it_was(schedule):
    schedule.note_change((0, 0), 1000, 1000, 0.0)
    sent(schedule, (0, 0), 1, 0.0)
    schedule.note_change((0, 0), 1100, 500, 1.0)
    assert schedule.choose(HERE, 2.0).level >= 1


def test_small_changes_are_no_reason(schedule):
    schedule.note_change((0, 0), 1000, 1000, 0.0)
    sent(schedule, (0, 0), 2, 0.0)
    schedule.note_change((0, 0), 1040, 40, 1.0)
    assert schedule.choose(HERE, 5.0) is None
    schedule.note_change((0, 0), 1060, 20, 6.0)
    assert schedule.choose(HERE, 7.0) == Choice((0, 0), 2)


def test_a_code_that_its_bytes_did_not_limit_is_not_refined(schedule):
    schedule.note_change((0, 0), 1000, 1000, 0.0)
    sent(schedule, (0, 0), 1, 0.0, is_finest=True)
    assert schedule.choose(HERE, 5.0) is None
    sent(schedule, (0, 0), 1, 5.0, sequence=2)
    assert schedule.choose(HERE, 10.0) == Choice((0, 0), 2)


def test_a_small_code_of_a_fine_level_is_cheap_to_renew(schedule):
    for key, size in (((1, 0), 4000), ((-1, 0), 900)):
        schedule.note_change(key, 1000, 1000, 0.0)
        sent(schedule, key, 2, 0.0, num_bytes=size)
        schedule.note_change(key, 1000, 200, 1.0)
    assert schedule.choose(HERE, 2.0) == Choice((-1, 0), 2)


def test_a_tile_that_still_grows_is_not_made_fine_before_one_that_does_not(schedule):
    for key in ((1, 0), (-1, 0)):
        schedule.note_change(key, 1000, 1000, 0.0)
        sent(schedule, key, 0, 10.0)
    schedule.note_change((1, 0), 1000, 600, 10.0)
    sent(schedule, (1, 0), 0, 10.0, sequence=2)
    assert schedule.choose(HERE, 11.0) == Choice((-1, 0), 1)
    sent(schedule, (-1, 0), 1, 11.0, sequence=3, is_finest=True)
    assert schedule.choose(HERE, 30.0) == Choice((1, 0), 1)


def test_after_a_loss_the_tile_is_what_the_code_before_told(schedule):
    schedule.note_change((0, 0), 1000, 1000, 0.0)
    sent(schedule, (0, 0), 0, 0.0, sequence=4)
    sent(schedule, (0, 0), 2, 2.0, sequence=5)
    assert schedule.choose(HERE, 4.0) is None
    schedule.note_lost([(0, 0), (9, 9)], 4.0)
    assert schedule.states[0, 0].code.sequence == 4
    assert schedule.choose(HERE, 4.0).level > 0
    schedule.note_lost([(0, 0)], 4.5)  # of the same code: nothing more is known
    assert schedule.states[0, 0].code.sequence == 4


def test_what_was_sent_just_now_cannot_be_lost_yet(schedule):
    schedule.note_change((0, 0), 1000, 1000, 0.0)
    sent(schedule, (0, 0), 2, 10.0)
    schedule.note_lost([(0, 0)], 10.5)
    schedule.note_absent([(0, 0)], 10.5)
    assert schedule.choose(HERE, 12.0) is None


def test_a_receiver_that_has_nothing_gets_coarse_codes_of_all_first(schedule):
    keys = [(x, 0) for x in range(4)]
    for key in keys:
        schedule.note_change(key, 1000, 1000, 0.0)
        sent(schedule, key, 2, 0.0)
    schedule.note_absent(keys, 5.0)
    chosen = []
    for step in range(4):
        chosen.append(schedule.choose(HERE, 5.0 + 0.1 * step))
        send(schedule, chosen[-1], 5.0 + 0.1 * step)
    assert [choice.level for choice in chosen] == [0] * 4 and sorted(choice.key for choice in chosen) == keys


def test_a_coarse_code_far_behind_goes_before_a_finer_one_nearby(schedule):
    schedule.note_change((0, 0), 1000, 1000, 0.0)
    sent(schedule, (0, 0), 0, 0.0)
    schedule.note_change((-10, 0), 1000, 1000, 0.0)  # 200 m away
    assert schedule.choose(HERE, 1.0) == Choice((-10, 0), 0)
