# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was sent of each tile of a map, and what is most useful to send next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kpconv_ros.config_io import param

Key = tuple[int, int]
WORTH_OF_POINTS = 0.5
"""Power of a tile's points that it is worth: between its area (0) and its points (1)."""
LIMITED = 0.6
"""A code of a smaller share of its level's bytes was as fine as its coder can: more bytes would not make it finer."""


@dataclass(frozen=True)
class TileScheduleConfig:
    """What makes a tile useful."""

    min_points: int = param(30, "tiles of fewer points are not sent", 1, 100_000)
    near: float = param(30.0, "distance at which a tile counts half as much as one at the robot [m]", 1.0, 1000.0)
    patience: float = param(3.0, "time after which what waits counts twice, and so on [s]", 0.1, 1000.0)
    refine_gain: float = param(0.5, "worth of a finer code, as a share of the tile's points; halved with every level",
                               0.0, 1.0)  # fmt: skip
    min_change: float = param(0.05, "share of a tile's points below which a change alone is no reason to send", 0.0,
                              1.0)  # fmt: skip
    min_period: float = param(1.0, "least time between two codes of a tile [s]", 0.0, 1000.0)


@dataclass
class TileState:
    """One tile; times in seconds."""

    place: tuple[float, float]
    """Its middle, metres, map frame."""
    num_points: int = 0
    num_unsent: int = 0
    """Points that changed since the code that was sent last."""
    waiting_since: float = 0.0
    """When the first of them changed."""
    level: int = -1
    """Of the code that was sent last; -1: none."""
    sequence: int = -1
    num_bytes: int = 0
    """Of that code."""
    sent_at: float = -1e9
    is_lost: bool = False
    """That code did not arrive."""


class Choice(NamedTuple):
    """What to send."""

    key: Key
    level: int
    is_repetition: bool
    """Whether the code that was sent last goes out again, as it is."""


class TileSchedule:
    """Tiles in the order in which they help the receiver most: what it lacks for each byte, sooner where near."""

    def __init__(self, config: TileScheduleConfig, level_bytes: Sequence[int], tile_size: float) -> None:
        """Make an empty schedule.

        Args:
            config: What makes a tile useful.
            level_bytes: Bytes of a code of each level, coarse to fine.
            tile_size: Edge of a tile, metres.
        """
        self._config, self._level_bytes, self._tile_size = config, tuple(level_bytes), tile_size
        self.states: dict[Key, TileState] = {}

    def note_change(self, key: Key, num_points: int, num_changed: int, now: float) -> None:
        """A tile has ``num_points``, of which ``num_changed`` are new or have another label."""
        state = self.states.get(key)
        if state is None:
            middle = ((key[0] + 0.5) * self._tile_size, (key[1] + 0.5) * self._tile_size)
            state = self.states[key] = TileState(middle)
        state.waiting_since = state.waiting_since if state.num_unsent else now
        state.num_points = num_points
        state.num_unsent = min(state.num_unsent + num_changed, num_points)

    def note_sent(self, key: Key, level: int, sequence: int, num_bytes: int, now: float) -> None:
        """A new code of a tile, of all its points, was sent."""
        state = self.states[key]
        state.level, state.sequence, state.num_bytes, state.sent_at = level, sequence, num_bytes, now
        state.num_unsent, state.waiting_since, state.is_lost = 0, now, False

    def note_failed(self, key: Key, now: float) -> None:
        """A tile could not be encoded; it is tried again when it has changed."""
        state = self.states[key]
        state.num_unsent, state.waiting_since, state.sent_at, state.is_lost = 0, now, now, False

    def note_repeated(self, key: Key, now: float) -> None:
        """The last code of a tile was sent again."""
        self.states[key].sent_at, self.states[key].is_lost = now, False

    def note_absent(self, keys: Iterable[Key], now: float) -> None:
        """The receiver has nothing of these tiles: they are as new."""
        for state in self._asked_for(keys, now):
            state.level, state.num_unsent, state.waiting_since, state.is_lost = -1, state.num_points, now, False

    def note_lost(self, keys: Iterable[Key], now: float) -> None:
        """The last code of these tiles did not arrive."""
        for state in self._asked_for(keys, now):
            if state.level >= 0 and not state.is_lost:
                state.is_lost, state.waiting_since = True, now

    def choose(self, position: tuple[float, float], now: float) -> Choice | None:
        """The most useful code to send, or None if there is none.

        Args:
            position: Where the robot is, metres, map frame.
            now: Time, seconds.
        """
        best, best_worth = None, 0.0
        for key, state in self.states.items():
            worth, choice = self._best_of(key, state)
            if choice is None or now - state.sent_at < self._config.min_period:
                continue
            away = ((state.place[0] - position[0]) ** 2 + (state.place[1] - position[1]) ** 2) / self._config.near**2
            worth *= (1.0 + max(now - state.waiting_since, 0.0) / self._config.patience) / (1.0 + away)
            if worth > best_worth:
                best, best_worth = choice, worth
        return best

    def backlog(self) -> tuple[int, int]:
        """Tiles, and bytes of their coarsest codes, of which the receiver has nothing or an outdated code."""
        waiting = [state for key, state in self.states.items() if self._is_waiting(state)]
        return len(waiting), sum(self._level_bytes[max(state.level, 0)] for state in waiting)

    def _is_waiting(self, state: TileState) -> bool:
        config = self._config
        has_changed = state.num_unsent >= max(config.min_change * state.num_points, 1)
        return state.num_points >= config.min_points and (state.is_lost or has_changed)

    def _best_of(self, key: Key, state: TileState) -> tuple[float, Choice | None]:
        """The best of: the last code again, a new one of its level, a finer one; worth a byte."""
        config, options = self._config, []
        if state.num_points < config.min_points:
            return 0.0, None
        unsent, worth = state.num_unsent / state.num_points, state.num_points**WORTH_OF_POINTS
        if state.is_lost:
            options.append((worth / max(state.num_bytes, 1), Choice(key, state.level, True)))
        if self._is_waiting(state):
            level = max(state.level, 0)
            options.append((worth * unsent / self._expected_bytes(state), Choice(key, level, False)))
        finer = state.level + 1
        if 0 < finer < len(self._level_bytes) and state.num_bytes > LIMITED * self._level_bytes[state.level]:
            gain = unsent + config.refine_gain * 0.5 ** (finer - 1)
            options.append((worth * gain / self._level_bytes[finer], Choice(key, finer, False)))
        return max(options, default=(0.0, None), key=lambda option: option[0])

    def _expected_bytes(self, state: TileState) -> float:
        """Bytes of a new code of the tile's level: it grows as the tile has, as far as the level lets it."""
        if state.level < 0:
            return self._level_bytes[0]
        grown = state.num_bytes * (1.0 + state.num_unsent / state.num_points)
        return max(min(grown, self._level_bytes[state.level]), 1.0)

    def _asked_for(self, keys: Iterable[Key], now: float) -> list[TileState]:
        """States of tiles that exist and are not on their way just now."""
        states = [self.states[key] for key in keys if key in self.states]
        return [state for state in states if now - state.sent_at >= self._config.min_period]
