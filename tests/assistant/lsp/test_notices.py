"""What the user is told, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_copilot.assistant.lsp import notices
from git_copilot.assistant.lsp.notices import LOG, SHOW, STATUS, Notices

A, B = Path("/a"), Path("/b")


@pytest.fixture
def told():
    return []


@pytest.fixture
def user(told):
    return Notices(lambda method, params: told.append((method, params)))


def test_a_problem_is_shown_once_and_others_of_the_worktree_go_to_the_log(user, told):
    for _ in range(3):
        user.problem("not initialised; run init", A)
        user.problem("another", A)
        user.problem("not initialised; run init", B)
    assert [(method, params["message"]) for method, params in told] == [
        (SHOW, "git-copilot: not initialised; run init"),
        (LOG, "git-copilot: another"),
        (SHOW, "git-copilot: not initialised; run init"),
    ]


def test_a_line_of_the_log_is_written_once_and_lines_are_bounded(user, told, monkeypatch):
    monkeypatch.setattr(notices, "MOST_LINES", 5)
    for number in [0, 0, *range(20)]:
        user.log(f"line {number}")
    assert len(told) == 5


def test_status_is_sent_to_clients_that_know_it_and_only_when_it_changes(user, told):
    user.begin()
    user.end()
    assert told == []  # the control: this client does not know it
    user.has_status = True
    user.begin()
    user.begin()
    user.end()
    user.end()
    user.problem("broken", A)
    user.problem("broken", A)
    user.solved()
    status = [tuple(params.values()) for method, params in told if method == STATUS]
    assert status == [
        (True, "Normal", ""),
        (False, "Normal", ""),
        (False, "Warning", "broken"),
        (False, "Normal", ""),
    ]
