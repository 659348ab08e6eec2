# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was sent of each tile of a map, and what is most useful to send next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kpconv_ros.config_io import param

Key = tuple[int, int]
WORTH_OF_POINTS = 0.25
"""Power of a tile's points that it is worth: nearer to its area (0) than to its points (1)."""

NOTHING_YET = 5.0
"""How much more the first code of a tile counts than its worth: what is not there at all misleads."""
LEFT_TO_FINER = 0.3
"""Share of what is left of a tile's worth that a finer code leaves to the next."""


@dataclass(frozen=True)
class TileScheduleConfig:
    """What makes a tile useful."""

    min_points: int = param(30, "tiles of fewer points are not sent", 1, 100_000)
    near: float = param(30.0, "distance at which a tile counts half as much as one at the robot [m]", 1.0, 1000.0)
    patience: float = param(3.0, "time after which what waits counts twice, and so on [s]", 0.1, 1000.0)
    refine_gain: float = param(0.5, "share of a tile's worth that its coarsest code leaves to finer ones", 0.01, 0.99)
    settling: float = param(0.5, "time for which points that are new count against finer codes: more will come [s]",
                            0.1, 100.0)  # fmt: skip
    min_change: float = param(0.1, "share of a tile's points below which a change alone is no reason to send", 0.0,
                              1.0)  # fmt: skip
    code_cost: int = param(
        400, "bytes that a code counts beside its own: headers, and the time that it takes", 0, 100_000
    )
    min_period: float = param(1.5, "least time between two codes of a tile [s]", 0.0, 1000.0)


class Code(NamedTuple):
    """A code that was sent."""

    level: int
    sequence: int
    num_bytes: int
    num_changes: int
    """`TileState.num_changes` when it was made."""
    is_finest: bool
    """Its coder could not do better: more bytes would not make it finer."""


@dataclass
class TileState:
    """One tile; times in seconds."""

    place: tuple[float, float]
    """Its middle, metres, map frame."""
    num_points: int = 0
    num_changes: int = 0
    """Points that were new or had another label, since the beginning."""
    recent: float = 0.0
    """Those of the last while, fading."""
    changed_at: float = 0.0
    waiting_since: float = 0.0
    """When the first of what is not sent changed."""
    code: Code | None = None
    """What the receiver has, as far as is known: the last that was sent, unless it was lost."""
    before: Code | None = None
    """What it had before that."""
    sequence: int = -1
    """Of the last code that was sent; -1: none."""
    sent_at: float = -1e9

    def unsent(self) -> float:
        """Share of its points that changed since the receiver's code."""
        if self.code is None:
            return 1.0
        return min((self.num_changes - self.code.num_changes) / max(self.num_points, 1), 1.0)


class Choice(NamedTuple):
    """What to send."""

    key: Key
    level: int


class TileSchedule:
    """Tiles in the order in which they help the receiver most: what it lacks for each byte, sooner where near.

    The distance counts once, not squared: a coarse code of a tile left behind is worth more than a finer one nearby.
    """

    def __init__(self, config: TileScheduleConfig, level_bytes: Sequence[int], tile_size: float) -> None:
        """Make an empty schedule.

        Args:
            config: What makes a tile useful.
            level_bytes: Bytes of a code of each level, coarse to fine.
            tile_size: Edge of a tile, metres.
        """
        self._config, self._level_bytes, self._tile_size = config, tuple(level_bytes), tile_size
        self._quality = tuple(1.0 - config.refine_gain * LEFT_TO_FINER**level for level in range(len(level_bytes)))
        self.states: dict[Key, TileState] = {}

    def note_change(self, key: Key, num_points: int, num_changed: int, now: float) -> None:
        """A tile has ``num_points``, of which ``num_changed`` are new or have another label."""
        state = self.states.get(key)
        if state is None:
            middle = ((key[0] + 0.5) * self._tile_size, (key[1] + 0.5) * self._tile_size)
            state = self.states[key] = TileState(middle, waiting_since=now, changed_at=now)
        if not state.unsent():
            state.waiting_since = now
        state.recent = self._recent(state, now) + num_changed
        state.changed_at, state.num_points = now, num_points
        state.num_changes += num_changed

    def note_sent(self, key: Key, code: Code, now: float) -> None:
        """A code of a tile was sent; one that was sent before may go out again."""
        state = self.states[key]
        if state.code is None or code.sequence != state.code.sequence:
            state.before = state.code
        state.code, state.sequence, state.sent_at, state.waiting_since = code, code.sequence, now, now

    def note_failed(self, key: Key, now: float) -> None:
        """A tile could not be encoded; it is tried again when it has changed."""
        self.note_sent(key, Code(len(self._level_bytes) - 1, -1, 0, self.states[key].num_changes, True), now)

    def note_absent(self, keys: Iterable[Key], now: float) -> None:
        """The receiver has nothing of these tiles: they are as new."""
        for state in self._asked_for(keys, now):
            if state.code is not None:
                state.code, state.before, state.waiting_since = None, None, now

    def note_lost(self, keys: Iterable[Key], now: float) -> None:
        """The last code of these tiles did not arrive, but one before did."""
        for state in self._asked_for(keys, now):
            if state.code is not None and state.code.sequence == state.sequence:
                state.code, state.before, state.waiting_since = state.before, None, now

    def choose(self, position: tuple[float, float], now: float) -> Choice | None:
        """The most useful code to send, or None if there is none.

        Args:
            position: Where the robot is, metres, map frame.
            now: Time, seconds.
        """
        best, best_worth = None, 0.0
        for key, state in self.states.items():
            if state.num_points < self._config.min_points or now - state.sent_at < self._config.min_period:
                continue
            worth, level = self._best_of(state, now)
            if level < 0:
                continue
            away = self.distance(key, position) / self._config.near
            waiting = max(now - state.waiting_since, 0.0) / self._config.patience
            worth *= (1.0 + waiting) / (1.0 + away)
            if worth > best_worth:
                best, best_worth = Choice(key, level), worth
        return best

    def distance(self, key: Key, position: tuple[float, float]) -> float:
        """Of the middle of a tile, metres."""
        return math.dist(self.states[key].place, position)

    def backlog(self) -> tuple[int, int]:
        """Tiles, and bytes of their codes, of which the receiver has nothing or an outdated code."""
        config = self._config
        waiting = [
            state
            for state in self.states.values()
            if state.num_points >= config.min_points and state.unsent() >= max(config.min_change, 1e-9)
        ]
        return len(waiting), sum(self._level_bytes[state.code.level if state.code else 0] for state in waiting)

    def _best_of(self, state: TileState, now: float) -> tuple[float, int]:
        """The level whose code brings most for its bytes, and what that is; level -1 if none brings anything."""
        config, code, unsent = self._config, state.code, state.unsent()
        if code is None:
            return NOTHING_YET * self._quality[0] * state.num_points**WORTH_OF_POINTS / self._cost(state, 0), 0
        best, best_level = 0.0, -1
        has = self._quality[code.level] * (1.0 - unsent)
        lasts = 1.0 - min(self._recent(state, now) / state.num_points, 1.0)
        for level in range(code.level, len(self._level_bytes)):
            is_update = level == code.level
            if unsent < max(config.min_change, 1e-9) and (is_update or code.is_finest):
                continue
            gain = (self._quality[level] - has) * (lasts if level else 1.0)
            worth = gain / self._cost(state, level)
            if worth > best:
                best, best_level = worth, level
        return best * state.num_points**WORTH_OF_POINTS, best_level

    def _cost(self, state: TileState, level: int) -> float:
        """Bytes of a new code: those of the tile's last one, grown as the tile has, as far as the level lets it."""
        num_bytes: float = self._level_bytes[level]
        if state.code is not None and level == state.code.level:
            num_bytes = min(state.code.num_bytes * (1.0 + state.unsent()), num_bytes)
        return num_bytes + self._config.code_cost

    def _recent(self, state: TileState, now: float) -> float:
        return state.recent * math.exp(-max(now - state.changed_at, 0.0) / self._config.settling)

    def _asked_for(self, keys: Iterable[Key], now: float) -> list[TileState]:
        """States of tiles that exist and are not on their way just now."""
        states = [self.states[key] for key in keys if key in self.states]
        return [state for state in states if now - state.sent_at >= self._config.min_period]
