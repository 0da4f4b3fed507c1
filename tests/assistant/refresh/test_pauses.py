"""A refresh in the background starts when it may, pauses, and begins again with newer commits."""

from __future__ import annotations

import pytest

from git_copilot.assistant.refresh.conditions import MachineMonitor, Reading
from git_copilot.assistant.refresh.pauses import (
    HISTORY_SECONDS,
    IDLE_LOOKS,
    MACHINE_SECONDS,
    Pauses,
    Superseded,
)

CALM = Reading(on_battery=False, load=0.0, hour=12)
BUSY = Reading(on_battery=False, load=0.9, hour=12)
UNPLUGGED = Reading(on_battery=True, load=0.0, hour=12)
MIDNIGHT = Reading(on_battery=False, load=0.0, hour=0)


class Script:
    """A machine with scripted readings, the last of which lasts, and a clock that sleeping moves."""

    def __init__(self, *readings):
        self.readings, self.time, self.told = list(readings), 0.0, []

    def read(self):
        return self.readings.pop(0) if self.readings[1:] else self.readings[0]

    def sleep(self, seconds):
        self.time += seconds

    def pauses(self, when="now", pause=("battery",)):
        return Pauses(
            when, pause, self, self.told.append, sleep=self.sleep, clock=lambda: self.time
        )


def silent(label, done, total):
    """A progress that nobody sees."""


def never():
    return False


def test_it_starts_at_once_where_nothing_is_asked_for():
    machine = Script(BUSY)
    machine.pauses().wait_to_start()
    assert (machine.time, machine.told) == (0.0, [])


@pytest.mark.parametrize(
    ("when", "before", "after"),
    [("night", CALM, MIDNIGHT), ("now", UNPLUGGED, CALM), ("idle", BUSY, CALM)],
)
def test_it_waits_for_what_is_asked_and_says_why(when, before, after):
    machine = Script(before, before, after)
    machine.pauses(when).wait_to_start()
    assert machine.time >= 2 * MACHINE_SECONDS
    assert machine.told[0]
    assert machine.told[-1] == ""


def test_an_idle_machine_is_one_that_stays_idle():
    machine = Script(CALM, CALM, BUSY, CALM)
    machine.pauses("idle").wait_to_start()
    assert machine.time == (3 + IDLE_LOOKS - 1) * MACHINE_SECONDS


def test_the_clock_stands_still_while_it_waits():
    machine = Script(UNPLUGGED, UNPLUGGED, CALM)
    pauses = machine.pauses()
    begun = pauses.now()
    pauses.watched(silent, never)("training", 1, 10)
    assert machine.time == 2 * MACHINE_SECONDS
    assert pauses.now() == begun
    machine.time += 5
    assert pauses.now() == begun + 5


def test_it_pauses_only_for_what_is_asked():
    machine = Script(UNPLUGGED)
    machine.pauses(pause=("load",)).watched(silent, never)("training", 1, 10)
    machine.pauses(pause=()).watched(silent, never)("training", 1, 10)
    assert machine.time == 0


def test_it_never_pauses_inside_a_transaction():
    machine = Script(UNPLUGGED)
    watched = machine.pauses().watched(silent, never)
    for label in ("indexing", "mining", "retrieving", "embedding"):
        watched(label, 1, 10)
    assert machine.time == 0


def test_the_machine_is_read_every_few_seconds_only():
    machine = Script(CALM, UNPLUGGED, CALM)
    watched = machine.pauses().watched(silent, never)
    watched("training", 1, 10)
    watched("training", 2, 10)
    assert machine.time == 0
    machine.time += MACHINE_SECONDS
    watched("training", 3, 10)
    assert machine.time == 2 * MACHINE_SECONDS


@pytest.mark.parametrize(
    ("label", "done", "again"),
    [
        ("evaluating the base model", 9, True),
        ("evaluating the adapter in use", 9, True),
        ("training", 4, True),
        ("training", 5, False),
        ("evaluating the strength", 0, False),
        ("evaluating the candidate", 0, False),
        ("checking for regressions", 0, False),
    ],
)
def test_it_begins_again_only_where_little_is_lost(label, done, again):
    watched = Script(CALM).pauses().watched(silent, lambda: True)
    if again:
        with pytest.raises(Superseded):
            watched(label, done, 10)
    else:
        watched(label, done, 10)


def test_the_history_is_looked_at_once_a_minute_and_after_a_pause():
    looks = []
    machine = Script(CALM, CALM, CALM, UNPLUGGED, CALM)
    watched = machine.pauses().watched(silent, lambda: bool(looks.append(machine.time)))
    for _ in range(3):
        watched("training", 1, 10)
        machine.time += MACHINE_SECONDS
    assert looks == [0.0]
    watched("training", 1, 10)
    assert looks == [0.0, 4 * MACHINE_SECONDS]
    machine.time += HISTORY_SECONDS
    watched("training", 1, 10)
    assert len(looks) == 3


def test_this_machine_can_be_read():
    machine = MachineMonitor()
    reading = machine.read()
    assert 0 <= reading.load <= 1
    assert 0 <= reading.hour < 24


def test_a_load_is_seen(monkeypatch):
    psutil = pytest.importorskip("psutil")
    times = psutil.cpu_times_percent(interval=None)
    fields = dict.fromkeys(times._fields, 0.0) | {"user": 60.0, "nice": 30.0, "idle": 10.0}
    monkeypatch.setattr(psutil, "cpu_times_percent", lambda interval: type(times)(**fields))
    assert MachineMonitor().read().load == 0.6  # not the niced part, which training itself uses


@pytest.mark.parametrize(("plugged", "on_battery"), [(False, True), (True, False), (None, False)])
def test_a_battery_is_seen(monkeypatch, plugged, on_battery):
    psutil = pytest.importorskip("psutil")
    battery = type("Battery", (), {"power_plugged": plugged})()
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert MachineMonitor().read().on_battery is on_battery
