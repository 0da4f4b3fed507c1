"""``stats`` prints what became of completions, as text and as JSON."""

from __future__ import annotations

import contextlib
import io
import json

import click
import pytest

from git_copilot.assistant.cli.main import dispatch
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.service.service import Service
from git_copilot.index.corpus import feedback_outcomes
from git_copilot.index.corpus.feedback_days import DAY_SECONDS
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.restricted_user import set_writable
from tests.support.shown_completions import NOW, record_completion


def stats(repo, *argv):
    """Run the command; what it printed, and its notes."""
    out, err = io.StringIO(), io.StringIO()
    service = Service()
    with contextlib.chdir(repo.path):
        assert dispatch(["stats", *argv], Terminal(repo.path, lambda: b"", out, err), service) == 0
    service.close()
    return out.getvalue(), err.getvalue()


@pytest.fixture
def counted(opened_repo):
    """A repository in which completions of two languages were shown."""
    repo, _, db = opened_repo
    for number, (language, outcome, ms) in enumerate(
        [("python", "accepted", 40.0), ("python", "rejected", 60.0), ("python", None, 80.0),
         ("go", "partial", 900.0)]
    ):  # fmt: skip
        name = f"c{number}"
        record_completion(
            db, "x = |", "total * 2", name=name, language=language, latency_ms=ms,
            automatic=number > 0, adapter="lora-1" if language == "go" else None,
        )  # fmt: skip
        if outcome is not None:
            length = 5 if outcome == "partial" else None
            feedback_outcomes.record_outcome(db, name, outcome, length=length)
    record_completion(db, "x = |", "total", name="old", when=NOW - 100 * DAY_SECONDS)
    return repo


def test_all_figures_are_in_the_json(counted):
    facts = json.loads(stats(counted, "--json")[0])
    assert facts["days"] == 90 and facts["recorded"] is True
    figures = {
        "shown": 4, "accepted": 1, "typed": 0, "partial": 1, "edited": 0, "rejected": 1,
        "acceptance_rate": 0.5, "automatic": 3, "inferred": 0,
    }  # fmt: skip
    assert {name: facts[name] for name in figures} == figures
    nothing = {"characters": 0, "of": 0, "share": None}
    assert facts["characters"] == {
        "shown": 36, "accepted": 14, "at_commit": nothing, "after_30_days": nothing,
    }  # fmt: skip
    assert abs(facts["latency_ms"]["p50"] - 60) <= 3 and abs(facts["latency_ms"]["p90"] - 900) <= 45
    assert [(each["language"], each["shown"]) for each in facts["by_language"]] == [
        ("python", 3), ("go", 1),
    ]  # fmt: skip
    assert [(each["adapter"], each["shown"]) for each in facts["by_adapter"]] == [
        (None, 3), ("lora-1", 1),
    ]  # fmt: skip
    assert [each["model"] for each in facts["by_model"]] == ["m"]
    assert json.loads(stats(counted, "--json", "--days", "200")[0])["shown"] == 5


def test_the_table_shows_the_total_and_each_group(counted):
    printed, notes = stats(counted)
    lines = [line.split() for line in printed.splitlines()]
    assert ["shown", "4", "3", "of", "them", "automatic"] in lines
    assert any(line[:2] == ["partly", "1"] for line in lines)
    assert any(line[:2] == ["taken", "50%"] for line in lines)
    assert next(line for line in lines if line[:1] == ["python"])[1:4] == ["3", "33%", "9"]
    assert next(line for line in lines if line[:1] == ["lora-1"])[1:4] == ["1", "100%", "5"]
    assert max(map(len, printed.splitlines())) <= 80 and notes == ""


def test_without_any_data_one_line_says_so(opened_repo):
    repo, _, _ = opened_repo
    assert stats(repo)[0] == "no completions were shown in the last 90 days\n"
    assert stats(repo, "--days", "1")[0] == "no completions were shown in the last day\n"
    facts = json.loads(stats(repo, "--json")[0])
    assert (facts["shown"], facts["acceptance_rate"], facts["by_language"]) == (0, None, [])


def test_where_feedback_is_off_old_figures_are_shown_with_a_note(counted, opened_repo):
    repo, git, _ = opened_repo
    repo.git("config", "copilot.feedback", "false")
    printed, notes = stats(repo)
    assert "shown" in printed and "copilot.feedback is false" in notes
    with Database(git.state_dir / DATABASE_NAME) as db, db.transaction() as connection:
        connection.execute("DELETE FROM feedback_days")
    assert "copilot.feedback is false" in stats(repo)[0]
    assert json.loads(stats(repo, "--json")[0])["recorded"] is False


def test_a_read_only_repository_has_figures(counted):
    set_writable(counted.path, False)
    try:
        assert json.loads(stats(counted, "--json")[0])["shown"] == 4
    finally:
        set_writable(counted.path, True)


@pytest.mark.parametrize("argv", [["--days", "0"], ["--days", "401"], ["--days", "x"], ["more"]])
def test_wrong_arguments_are_usage_errors(opened_repo, argv):
    with pytest.raises(click.UsageError):
        stats(opened_repo[0], *argv)
