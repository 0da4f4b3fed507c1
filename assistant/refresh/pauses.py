"""Waits on behalf of a refresh in the background: for its start, and while it must pause."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from git_copilot.assistant.refresh.conditions import (
    IDLE,
    Monitor,
    pause_reason,
    start_obstacle,
)
from git_copilot.index.core.types import Progress

# Seconds between two looks at the machine, and at the history.
MACHINE_SECONDS, HISTORY_SECONDS = 15.0, 60.0
# A machine is idle that was idle at each of these looks in a row.
IDLE_LOOKS = 4
# Only here nothing is locked and nothing is lost: between steps of training and between holes.
PAUSABLE = ("training", "evaluating", "checking")
BEFORE_TRAINING = ("evaluating the base model", "evaluating the adapter in use")
# A training that has got further is worth more than one that begins again with newer commits.
REPLACEABLE_SHARE = 0.5


class Superseded(Exception):
    """The history has moved on so far that the refresh should begin again."""


class Pauses:
    """Waits as the settings ask. :meth:`now` stands still meanwhile, so that a time limit is one
    of work.

    :param when: a value of ``copilot.refreshWhen``.
    :param pause: words of ``copilot.refreshPause``.
    :param tell: gets the reason for waiting, and an empty one when it is over.
    """

    def __init__(
        self,
        when: str,
        pause: Collection[str],
        machine: Monitor,
        tell: Callable[[str], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._when, self._pause, self._machine, self._tell = when, pause, machine, tell
        self._sleep, self._clock = sleep, clock
        self._waited = 0.0
        self._next_machine = self._next_history = -1.0

    def now(self) -> float:
        """Seconds of a clock that stands still while this waits."""
        return self._clock() - self._waited

    def wait_to_start(self) -> None:
        """Return when a refresh may start."""
        looks = IDLE_LOOKS if self._when == IDLE else 1
        waited = False
        while looks:
            obstacle = start_obstacle(self._when, self._pause, self._machine.read())
            if obstacle:
                looks = IDLE_LOOKS if self._when == IDLE else 1
            else:
                looks -= 1
            if looks:
                self._tell(obstacle or "it starts when the machine stays idle for a minute")
                waited = True
                self._wait()
        if waited:
            self._tell("")

    def watched(self, progress: Progress, superseded: Callable[[], bool]) -> Progress:
        """``progress`` that waits where the work must pause.

        :param superseded: whether the refresh should begin again.
        :return: raises :class:`Superseded`, where that costs little.
        """

        def report(label: str, done: int, total: int) -> None:
            progress(label, done, total)
            if label.startswith(PAUSABLE):
                paused = self._pause_if_asked()
                early = _is_replaceable(label, done, total)
                if early and self._history_is_due(paused) and superseded():
                    raise Superseded

        return report

    def _pause_if_asked(self) -> bool:
        """Wait while there is a reason to; whether there was one."""
        if self._clock() < self._next_machine:
            return False
        paused = False
        while reason := pause_reason(self._pause, self._machine.read()):
            self._tell(reason)
            paused = True
            self._wait()
        if paused:
            self._tell("")
        self._next_machine = self._clock() + MACHINE_SECONDS
        return paused

    def _history_is_due(self, paused: bool) -> bool:
        if not paused and self._clock() < self._next_history:
            return False
        self._next_history = self._clock() + HISTORY_SECONDS
        return True

    def _wait(self) -> None:
        begun = self._clock()
        self._sleep(MACHINE_SECONDS)
        self._waited += self._clock() - begun


def _is_replaceable(label: str, done: int, total: int) -> bool:
    """Whether little is lost where a refresh begins again: nothing is trained yet, or not much."""
    if label == "training":
        return done < REPLACEABLE_SHARE * total
    return label in BEFORE_TRAINING
