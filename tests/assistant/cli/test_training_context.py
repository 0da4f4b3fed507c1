"""What ``refresh`` and ``eval`` print of their arms."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

from git_copilot.assistant.cli.training_context import print_arms
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.evaluation.metrics import ScoreSummary
from git_copilot.assistant.evaluation.report import ArmScores, ArmsReport

MEASURED = ScoreSummary(10.0, 20.0, 1.5)


def printed(*arms):
    out = io.StringIO()
    terminal = Terminal(Path(), lambda: b"", out, io.StringIO())
    print_arms(SimpleNamespace(terminal=terminal), ArmsReport.of(*arms))
    return [line.split() for line in out.getvalue().splitlines()]


def test_both_kinds_of_prompts_are_shown_where_both_were_measured():
    lines = printed(ArmScores(MEASURED, ScoreSummary(9.0, 19.0, 1.6)), None, None)
    assert lines[0] == ["with", "retrieval", "without"]
    assert lines[2] == ["base", "10.0", "20.0", "1.500", "9.0", "19.0", "1.600"]


def test_what_was_not_measured_is_a_dash_and_a_column_of_them_is_left_out():
    lines = printed(ArmScores(MEASURED), None, ArmScores(ScoreSummary(None, None, 1.25)))
    assert lines[0] == ["with", "retrieval"]
    assert lines[2] == ["base", "10.0", "20.0", "1.500"]
    assert lines[4] == ["candidate", "-", "-", "1.250"]
