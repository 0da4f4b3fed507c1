"""Completions are recorded after the answer is sent; editors report outcomes at any time."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import sqlite3
import time
from pathlib import Path

import click
import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.cli import main
from git_copilot.assistant.cli.main import dispatch
from git_copilot.assistant.completion import feedback
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.service.service import Service
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.corpus.feedback_store import reported_since
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.tiny_models import UNFINISHED, save_tiny

REQUEST = CompleteRequest("src/a.py:2", Path("/"))
TEXT = "def area(width):\n    größe = 'ü😀' + str(width)\n    return größe\n" + UNFINISHED


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", layers=1)


@pytest.fixture
def project(repo, tiny):
    """A repository with a file, known to git-copilot."""
    repo._clock = int(time.time()) - 120
    repo.commit({"src/a.py": TEXT})
    repo.git("config", "copilot.model", str(tiny))
    repo.git("config", "copilot.maxTokens", "6")
    state = repo.git_dir / "copilot"
    trust_repository(state)
    Database(state / DATABASE_NAME, create=True).close()
    return repo


@pytest.fixture
def db(project):
    with Database(project.git_dir / "copilot" / DATABASE_NAME) as opened_repo:
        yield opened_repo


def ask(project, session, location, **more):
    request = CompleteRequest(location=location, cwd=project.path, **more)
    return complete(request, find_place(request), session, Callbacks())


def place_in(project):
    return find_place(CompleteRequest("src/a.py:2", project.path))


def command(project, *argv, stdin=b""):
    """Run a command line in the repository; what it printed."""
    out = io.StringIO()
    terminal = Terminal(project.path, lambda: stdin, out, io.StringIO())
    service = Service()
    with contextlib.chdir(project.path):
        assert dispatch(list(argv), terminal, service) == 0
    service.close()
    return out.getvalue()


def rows(db):
    return db.query(
        "SELECT id, path, line, before, after, above, below, completion, model, adapter, outcome"
        " FROM feedback"
    )


def test_an_answer_is_recorded_only_when_its_record_is_run(project, session, db, tiny):
    answer = ask(project, session, "src/a.py:2:13")
    assert rows(db) == []
    (record,) = session.take_deferred()
    record()
    assert answer.completion.strip()
    assert rows(db) == [
        (
            answer.id, b"src/a.py", 2, "    größe = ", "'ü😀' + str(width)",
            "def area(width):", "return größe", answer.completion, str(tiny), "", "shown",
        )
    ]  # fmt: skip
    record()
    assert len(rows(db)) == 1 and session.take_deferred() == []


def test_an_unsaved_buffer_is_recorded_with_normalised_line_ends(project, session, db):
    ask(project, session, "new.py:2", text=b"import os\r\nvalue = \r\nprint(value)\r\n")
    for record in session.take_deferred():
        record()
    assert [row[1:7] for row in rows(db)] == [
        (b"new.py", 2, "value = ", "", "import os", "print(value)")
    ]


def test_nothing_is_recorded_for_past_commits_or_when_feedback_is_off(project, session):
    ask(project, session, "src/a.py:2", at="HEAD")
    project.git("config", "copilot.feedback", "false")
    ask(project, session, "src/a.py:2")
    assert session.take_deferred() == []
    project.git("config", "copilot.feedback", "true")
    ask(project, session, "src/a.py:2")
    assert len(session.take_deferred()) == 1


@pytest.mark.parametrize("completion", [" \n\t", "", "'AKIAIOSFODNN7REALKEY'", "x" * 20_000])
def test_blank_secret_and_huge_completions_are_not_recorded(project, session, db, completion):
    answer = ask(project, session, "src/a.py:2")
    place = place_in(project)
    feedback.record_answer(place, dataclasses.replace(answer, candidates=(completion,)), REQUEST)
    assert rows(db) == []
    assert not (project.git_dir / "copilot" / "log").exists(), "that is no failure"


def test_a_secret_that_replaced_a_completion_is_not_kept(project, session, db):
    answer = ask(project, session, "src/a.py:2")
    session.take_deferred()[0]()
    name = answer.id
    for text, kept in (("repr(width)", "repr(width)"), ("'AKIAIOSFODNN7REALKEY'", None)):
        command(project, "feedback", name, "rejected")
        command(project, "feedback", name, "edited", "--final", text)
        assert db.query("SELECT outcome, final FROM feedback") == [("edited", kept)]


def test_completions_in_forgotten_files_are_not_recorded(project, session, db):
    with db.transaction() as connection:
        connection.execute("INSERT INTO forgotten VALUES ('path', 'src', 0)")
    ask(project, session, "src/a.py:2")
    ask(project, session, "b.py:1", text=b"value = ")
    for record in session.take_deferred():
        record()
    assert [row[1] for row in rows(db)] == [b"b.py"]


def test_a_locked_database_is_logged_and_not_waited_for(project, session, db, capfd):
    answer, place = ask(project, session, "src/a.py:2"), place_in(project)
    path = project.git_dir / "copilot" / DATABASE_NAME
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        feedback.record_answer(place, answer, REQUEST)
    finally:
        other.rollback()
        other.close()
    log = (project.git_dir / "copilot" / "log" / "feedback.log").read_text("utf-8")
    assert log.count("\n") == 1 and answer.id in log and "busy" in log
    assert rows(db) == [] and capfd.readouterr() == ("", "")


def test_a_missing_state_folder_is_no_error(project, session, capfd):
    answer, place = ask(project, session, "src/a.py:2"), place_in(project)
    session.close()
    for file in (project.git_dir / "copilot").iterdir():
        file.unlink()
    (project.git_dir / "copilot").rmdir()
    feedback.record_answer(place, answer, REQUEST)
    assert not (project.git_dir / "copilot").exists() and capfd.readouterr() == ("", "")


def test_a_call_without_a_server_records_the_printed_completion(project, db, monkeypatch, capfd):
    monkeypatch.chdir(project.path)
    assert main.run(["complete", "src/a.py:2", "--json", "--no-server"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert [(row[0], row[7]) for row in rows(db)] == [(shown["id"], shown["completion"])]
    assert main.run(["feedback", shown["id"], "rejected"]) == 0
    assert [row[10] for row in rows(db)] == ["rejected"]


def test_a_reported_outcome_and_its_commit_make_an_example(project, session, db):
    answer = ask(project, session, "src/a.py:2:13")
    session.take_deferred()[0]()
    name = answer.id
    assert command(project, "feedback", name, "accepted") == "accepted: src/a.py\n"
    said = command(
        project, "feedback", name, "edited", "--final", "-", "--json", stdin=b"repr(width)"
    )
    assert json.loads(said) == {"id": name, "outcome": "edited", "path": "src/a.py"}
    git = GitRepository.discover(project.path)
    project._clock += 120
    oid = project.commit({"src/a.py": TEXT.replace("'ü😀' + str(width)", "repr(width)  # why")})
    mine(git, db)
    holes = [h for h in load_holes(db, [oid]) if h.kind == "completion"]
    middles = [git.read_blob(h.blob)[h.start : h.end] for h in holes]
    assert middles == [b"repr(width)"]


def test_an_accepted_part_is_recorded_from_the_command_and_the_socket(
    start_server, project, session, db
):
    running = start_server()
    answer = ask(project, session, "src/a.py:2")
    session.take_deferred()[0]()
    part = {"cwd": str(project.path), "id": answer.id, "outcome": "partial", "accepted_length": 1}
    done = {"id": answer.id, "outcome": "partial", "path": "src/a.py"}
    assert len(answer.completion) > 3
    assert running.ask(feedback=part) == {"feedback": done}
    said = command(project, "feedback", answer.id, "partial", "--length", "2", "--json")
    assert json.loads(said) == done
    assert running.ask(op="feedback", request=part)["answer"] == done
    assert db.query("SELECT outcome, taken, inferred FROM feedback") == [("partial", 2, 0)]


def test_statistics_are_printed_as_text_and_as_json(project, session, db):
    assert json.loads(command(project, "feedback", "--json"))["acceptance_rate"] is None
    answer = ask(project, session, "src/a.py:2")
    session.take_deferred()[0]()
    command(project, "feedback", answer.id, "accepted")
    facts = json.loads(command(project, "feedback", "--json"))
    assert (facts["shown"], facts["accepted"], facts["acceptance_rate"]) == (1, 1, 1.0)
    head, whole, *rest = command(project, "feedback").splitlines()
    assert head.split() == [
        "last",
        "30",
        "days",
        "shown",
        "accepted",
        "typed",
        "partial",
        "edited",
        "rejected",
        "taken",
    ]
    assert whole.split() == ["all", "1", "1", "0", "0", "0", "0", "100%"]
    assert len(rest) == 2 and len({len(line) for line in (head, whole, *rest)}) == 1


@pytest.mark.parametrize(
    "argv",
    [
        ["c1"],
        ["c1", "shown"],
        ["c1", "liked"],
        ["--final", "x"],
        ["c1", "edited", "more"],
        ["c1", "partial"],
        ["c1", "accepted", "--length", "3"],
        ["--length", "3"],
    ],
)
def test_wrong_arguments_are_usage_errors(project, argv):
    with pytest.raises(click.UsageError):
        command(project, "feedback", *argv)


def test_an_unknown_id_or_outcome_is_a_one_line_error(project):
    with pytest.raises(CopilotError, match="unknown completion id 'c1'"):
        command(project, "feedback", "c1", "accepted")
    with pytest.raises(CopilotError, match="no outcome"):
        feedback.report(GitRepository.discover(project.path), "c1", "shown")


def test_the_socket_accepts_reports_and_rejects_invalid_ones(start_server, project, session, db):
    running = start_server()
    answer = ask(project, session, "src/a.py:2")
    session.take_deferred()[0]()
    name = answer.id
    folder = str(project.path / "src")
    good = {"cwd": folder, "id": name, "outcome": "edited", "final": "-x\ud800"}
    assert running.ask(feedback=good) == {
        "feedback": {"id": name, "outcome": "edited", "path": "src/a.py"}
    }
    (known,) = reported_since(db, 0)
    assert (known.outcome, known.final) == ("edited", "-x?")
    for body, code, word in [
        ({**good, "id": "--help"}, 1, "unknown completion id"),
        ({**good, "outcome": "liked"}, 2, "accepted"),
        ({**good, "cwd": str(Path(folder) / "gone")}, 1, "not in a Git repository"),
        ({**good, "final": 3}, 2, "'final'"),
        ({**good, "outcome": "partial"}, 2, "accepted length"),
        ({**good, "accepted_length": 3}, 2, "accepted length"),
        ({**good, "outcome": "partial", "accepted_length": 0}, 2, "'accepted_length'"),
        ({**good, "outcome": "partial", "accepted_length": "3"}, 2, "type int"),
        ({"id": name}, 2, "needs 'outcome'"),
        ("accepted", 2, "JSON object"),
    ]:
        said = running.ask(feedback=body)
        assert said["exit_code"] == code and word in said["error"], said
        assert "\n" not in said["error"]
    assert running.ask(op="status")["requests"] == 0
