"""All output goes through one kind of stream: terminals get escaped text, pipes the bytes."""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.core import progress, terminal
from git_copilot.assistant.core.error_handler import run_guarded
from git_copilot.assistant.core.progress import ProgressBar, duration
from git_copilot.assistant.core.terminal import CLEAR_LINE, Stream, Terminal, style
from git_copilot.index.core.errors import CopilotError
from tests.support.terminal_screens import as_on_terminal, unsafe_characters

ROOM = Path(terminal.__file__).parents[1]
EVIL = "ev\x1b[31mil\x1b]0;OWNED\x07\x9b\u202e\x08\r!"


def make(screens=(True, True), **more):
    return Terminal(Path(), lambda: b"", io.StringIO(), io.StringIO(), screens=screens, **more)


def text_of(stream):
    return stream.below.getvalue()


@given(st.text())
def test_control_sequences_never_reach_a_terminal(text):
    assert unsafe_characters(as_on_terminal(text)) == []


@given(st.text())
def test_a_pipe_gets_the_text_unchanged(text):
    below = io.StringIO(newline="")
    Stream(below, screen=False).write(text)
    assert below.getvalue() == text


def test_only_our_own_colours_reach_a_terminal():
    assert as_on_terminal(style("a", fg="red", bold=True)) == "\x1b[31;1ma\x1b[0m"
    assert as_on_terminal(style(EVIL, fg="red")).startswith("\x1b[31mev^[[31mil^[]0;OWNED^G")
    assert as_on_terminal(style("a", fg="red"), colour=False) == "a"
    assert as_on_terminal(f"{CLEAR_LINE}a", colour=False) == "\r\x1b[Ka"


def test_a_style_is_dropped_on_a_pipe():
    below = io.StringIO()
    Stream(below, screen=False, colour=True).write(style("a\n\nb", dim=True))
    assert below.getvalue() == "a\n\nb"


def test_carriage_returns_before_newlines_are_not_escaped():
    assert as_on_terminal("a\r\nb\r\n") == "a\nb\n"
    assert as_on_terminal("a\rb\n") == "a^Mb\n"


def test_one_line_stays_one_line_on_a_terminal():
    screen, pipe = make(), make((False, False))
    for each in (screen, pipe):
        each.echo("new\nline")
        each.echo_block("a\n\tb")
        each.note("new\nline")
    assert text_of(screen.out) == "new^Jline\na\n\tb\n"
    assert text_of(screen.err) == "git-copilot: new^Jline\n"
    assert text_of(pipe.out) == "new\nline\na\n\tb\n"


def test_each_stream_is_judged_by_itself():
    half = make((False, True))
    half.echo(EVIL)
    half.tell(EVIL)
    assert text_of(half.out) == f"{EVIL}\n" and unsafe_characters(text_of(half.err)) == []


def test_names_are_quoted_on_terminals_only():
    assert make().name("a\nb") == '"a\\nb"'
    assert make((False, True)).name("a\nb") == "a\nb"


def test_errors_are_escaped_on_a_terminal():
    here = make()

    def fail():
        raise CopilotError(f"{EVIL} does not exist", EVIL)

    assert run_guarded(fail, here) == 1
    assert unsafe_characters(text_of(here.err)) == [] and text_of(here.err).count("\n") == 1


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda p: p.name)
def test_no_command_bypasses_the_stream(path):
    """Only terminal.py makes colours and control sequences. Only it, and code that runs before it
    is imported, uses the process's streams."""
    source = path.read_text("utf-8")
    if path.name != "terminal.py":
        assert not re.search(r"click\.(style|echo|secho)|\\033|\\x1b|\\e\[", source)
    if path.parent.name != "client" and path.name not in ("terminal.py", "process.py"):
        assert not re.search(r"sys\.(stdout|stderr)|\bprint\(", source)


def test_a_progress_bar_redraws_its_line_on_a_terminal():
    here = make()
    bar = ProgressBar(here.err)
    for done in (0, 5, 10):
        bar("mining commits", done, 10)
    bar.finish()
    got = text_of(here.err)
    assert got.count("\r\x1b[K") == 4 and got.endswith("\r\x1b[K") and "5/10" in got
    assert "\n" not in got


def test_without_a_terminal_long_work_prints_a_line_at_intervals():
    here = make((False, False))
    bar = ProgressBar(here.err, first=0.15, every=0.3)
    bar("mining commits", 1, 10)
    time.sleep(0.05)
    assert text_of(here.err) == ""
    bar("mining commits", 4, 10)
    time.sleep(0.2)
    lines = text_of(here.err).splitlines()
    assert len(lines) == 1
    assert re.fullmatch(r"git-copilot: mining commits 4/10, 0 s so far", lines[0])
    bar("training", 0, 0)  # says nothing by itself for long
    time.sleep(0.45)
    bar.finish()
    lines = text_of(here.err).splitlines()
    assert len(lines) == 2 and lines[1].startswith("git-copilot: training, ")
    time.sleep(0.4)
    assert len(text_of(here.err).splitlines()) == 2


def test_progress_says_how_long_the_rest_takes():
    here, time_now = make(), [100.0]
    bar = ProgressBar(here.err, now=lambda: time_now[0])

    def shown(label, done, total, seconds):
        time_now[0] += seconds
        bar(label, done, total)
        return text_of(here.err).rpartition("\r\x1b[K")[2]

    assert "left" not in shown("training", 0, 10, 50)
    assert shown("training", 1, 10, 10).endswith("1/10, about 1 min 30 s left")
    assert shown("training", 5, 10, 40).endswith("5/10, about 50 s left")
    assert "left" not in shown("training", 10, 10, 50)
    # Other work has another speed, and part of it may be done already.
    assert "left" not in shown("judging", 4, 10, 1)
    assert shown("judging", 6, 10, 10).endswith("6/10, about 20 s left")
    assert "left" not in shown("reading", 0, 0, 10)


def test_without_a_terminal_the_lines_say_how_long_the_rest_takes():
    here = make((False, False))
    begun = time.monotonic()
    # A hundred times as fast as the real clock.
    bar = ProgressBar(
        here.err, first=20, every=3000, now=lambda: begun + 100 * (time.monotonic() - begun)
    )
    bar("training", 0, 4)
    time.sleep(0.05)
    bar("training", 1, 4)
    deadline = time.monotonic() + 25
    while not text_of(here.err) and time.monotonic() < deadline:
        time.sleep(0.05)
    bar.finish()
    assert re.fullmatch(
        r"git-copilot: training 1/4, \d+ s so far, about .* left\n", text_of(here.err)
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (125, "2 min 5 s"), (3660, "1 h 1 min")],
)
def test_times_for_people(seconds, text):
    assert duration(seconds) == text


def test_without_a_terminal_short_work_prints_nothing():
    here = make((False, False))
    bar = ProgressBar(here.err)
    bar("mining commits", 1, 10)
    bar.finish()
    assert text_of(here.err) == ""
    assert progress.FIRST_SECONDS <= progress.EVERY_SECONDS <= 30


def test_output_of_libraries_is_escaped_too(monkeypatch):
    """Click's help, warnings and tracebacks write to the process's streams."""
    from git_copilot.assistant.cli import main

    below = io.StringIO()
    below.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", below)
    monkeypatch.setattr(main, "_run_all", lambda *args: sys.stderr.write(EVIL) and None)
    assert main.run(["status"]) == 0
    assert below.getvalue() and unsafe_characters(below.getvalue()) == []
