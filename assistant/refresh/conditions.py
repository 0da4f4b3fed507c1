"""Whether a refresh that nobody waits for may run now: the state of the machine, and what the
settings say of it."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

# Values of `copilot.refreshWhen`, and words of `copilot.refreshPause`.
NOW, IDLE, NIGHT = "now", "idle", "night"
BATTERY, LOAD = "battery", "load"
# Local hours between which it is night.
NIGHT_BEGINS, NIGHT_ENDS = 22, 6
# Shares of all processors that other programs use: at most on an idle machine, and at least on one
# that is too busy to train.
IDLE_LOAD, BUSY_LOAD = 0.2, 0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """``load`` is the share of all processors, 0 to 1, that programs other than niced ones used
    since the last reading; ``hour`` is local."""

    on_battery: bool
    load: float
    hour: int


class Monitor(Protocol):
    """Something whose state can be read."""

    def read(self) -> Reading: ...


class MachineMonitor:
    """The machine that this process runs on."""

    def __init__(self) -> None:
        self._used()  # loads are measured from here

    def read(self) -> Reading:
        """Its state, without waiting."""
        import psutil

        # Neither is known on every system.
        sensor = getattr(psutil, "sensors_battery", lambda: None)()
        on_battery = sensor is not None and sensor.power_plugged is False
        return Reading(on_battery, self._used(), time.localtime().tm_hour)

    @staticmethod
    def _used() -> float:
        import psutil

        # Training is niced, and so is what else may wait: only the rest is somebody's work.
        times = psutil.cpu_times_percent(interval=None)
        parts = ("user", "system", "irq", "softirq", "steal", "interrupt", "dpc")
        return float(sum(getattr(times, part, 0.0) for part in parts)) / 100


def pause_reason(pause: Collection[str], reading: Reading) -> str:
    """Why work that has begun must pause, empty if it need not.

    :param pause: words of ``copilot.refreshPause``.
    """
    if BATTERY in pause and reading.on_battery:
        return "the machine is on battery"
    if LOAD in pause and reading.load > BUSY_LOAD:
        return f"other programs use {reading.load:.0%} of the processors"
    return ""


def start_obstacle(when: str, pause: Collection[str], reading: Reading) -> str:
    """Why a refresh must not start yet, empty if it may.

    :param when: a value of ``copilot.refreshWhen``.
    """
    if when == NIGHT and NIGHT_ENDS <= reading.hour < NIGHT_BEGINS:
        return f"it starts between {NIGHT_BEGINS}:00 and {NIGHT_ENDS}:00"
    if when == IDLE and reading.load > IDLE_LOAD:
        return f"it starts when the machine is idle (other programs use {reading.load:.0%})"
    return pause_reason(pause, reading)
