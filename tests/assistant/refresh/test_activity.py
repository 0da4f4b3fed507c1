"""Another process sees what a refresh is doing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from git_copilot.assistant.refresh.activity import (
    ActivityRecord,
    read_activity,
    record_activity,
)


def silent(label, done, total):
    """A progress that nobody sees."""


@pytest.fixture(name="clock")
def moved_clock():
    class Clock:
        time = 1000.0

        def __call__(self):
            return self.time

    return Clock()


def test_a_phase_is_seen_with_the_time_that_is_left(tmp_path, clock):
    record = ActivityRecord(tmp_path, clock)
    report = record.reporting(silent)
    report("training", 10, 100)
    clock.time += 20
    report("training", 20, 100)
    seen = read_activity(tmp_path)
    assert (seen.phase, seen.done, seen.total) == ("training", 20, 100)
    assert seen.seconds_left == 160
    record.close()
    assert read_activity(tmp_path) is None


def test_what_was_waited_for_does_not_count_as_work(tmp_path, clock):
    record = ActivityRecord(tmp_path, clock)
    report = record.reporting(silent)
    report("training", 0, 100)
    clock.time += 10
    report("training", 10, 100)
    record.waits("the machine is on battery")
    assert read_activity(tmp_path).waits == "the machine is on battery"
    clock.time += 10_000
    record.waits("")
    clock.time += 10
    report("training", 20, 100)
    seen = read_activity(tmp_path)
    assert (seen.waits, seen.seconds_left) == ("", 80)


def test_a_process_that_is_gone_says_nothing_even_if_its_number_is_used_again(tmp_path):
    with record_activity(tmp_path) as record:
        record.reporting(silent)("training", 1, 2)
        (path,) = (tmp_path / "adapters").iterdir()
        facts = json.loads(path.read_text())
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, check=True)  # fmt: skip
    gone = path.with_name(path.name.replace(str(facts["pid"]), ended.stdout.decode().strip()))
    gone.write_text(json.dumps({**facts, "pid": int(ended.stdout)}))
    assert read_activity(tmp_path) is None
    path.write_text(json.dumps({**facts, "process_begun": facts["process_begun"] - 60}))
    assert read_activity(tmp_path) is None
    with record_activity(tmp_path):
        assert not gone.exists()


def test_one_that_works_is_told_before_one_that_waits(tmp_path, clock):
    record = ActivityRecord(tmp_path, clock)
    record.reporting(silent)("training", 1, 2)
    working = read_activity(tmp_path)
    waiting = replace(
        working, phase="", waits="it starts between 22:00 and 6:00", at=working.at + 9
    )
    other = tmp_path / "adapters" / ".activity-1-2.json"
    other.write_text(json.dumps({name: getattr(waiting, name) for name in waiting.__slots__}))
    assert read_activity(tmp_path) == working
    record.close()
    assert read_activity(tmp_path) == waiting


def test_damaged_files_say_nothing(tmp_path):
    folder = tmp_path / "adapters"
    folder.mkdir()
    for i, text in enumerate(("", "[]", "{}", '{"pid": "x"}', "\x00")):
        (folder / f".activity-{i}.json").write_text(text)
    assert read_activity(tmp_path) is None


def test_a_folder_that_cannot_be_written_costs_only_the_record(tmp_path):
    (tmp_path / "adapters").write_text("a file")
    with record_activity(tmp_path) as record:
        record.reporting(silent)("training", 1, 2)
        record.waits("why")
    assert read_activity(tmp_path) is None
