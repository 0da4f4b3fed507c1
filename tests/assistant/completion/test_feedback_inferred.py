"""Where nothing is reported, the next request in the file tells what became of a completion."""

from __future__ import annotations

import dataclasses
import time

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion import feedback
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.index.corpus import feedback_outcomes
from git_copilot.index.corpus.feedback_statistics import statistics
from git_copilot.index.corpus.feedback_store import reported_since
from git_copilot.index.store import forget
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.initialised_repo import initialise_repository
from tests.support.tiny_models import save_tiny

HEAD = "def area(width, height):\n    total = "
TAIL = "\n    return total\n"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", layers=1)


@pytest.fixture
def project(repo, tiny):
    repo._clock = int(time.time()) - 120
    repo.commit({"src/a.py": HEAD + TAIL})
    return initialise_repository(repo, tiny, maxTokens="4")


@pytest.fixture
def db(project):
    with Database(project.git_dir / "copilot" / DATABASE_NAME) as opened:
        yield opened


@pytest.fixture
def shown(project, session, db):
    """Shows ``width * height`` after ``total = `` and returns its id."""
    request = CompleteRequest("src/a.py:2", project.path, automatic=True, client="lsp-4711-f00")
    place = find_place(request)
    answer = complete(request, place, session, Callbacks())
    session.take_deferred()
    answer = dataclasses.replace(answer, candidates=("width * height",))
    feedback.record_answer(place, answer, request)
    assert outcomes(db) == [(answer.id, "shown", 0)]
    return answer.id


def outcomes(db):
    return db.query("SELECT id, outcome, inferred FROM feedback WHERE completion LIKE 'width%'")


def ask(project, session, text, line, path="src/a.py"):
    """Ask for a completion at the end of a line of an unsaved buffer; it is recorded as well."""
    request = CompleteRequest(f"{path}:{line}", project.path, text.encode())
    complete(request, find_place(request), session, Callbacks())
    for action in session.take_deferred():
        action()


def test_what_is_kept_of_a_request(shown, db):
    (row,) = db.query(
        "SELECT language, automatic, client, latency_ms > 0, inferred FROM feedback WHERE id = ?",
        (shown,),
    )
    assert row == ("python", 1, "lsp", 1, 0)


@pytest.mark.parametrize(
    ("client", "name"),
    [(None, "command"), ("http/llama.cpp", "http/llama.cpp"), ("lsp-1", "lsp"), ("127.0.0.1", ""),
     ("http/v1 key=abc", "http/v"), ("", "")],
)  # fmt: skip
def test_a_client_has_a_short_name(client, name):
    assert feedback.client_name(client) == name


def test_the_next_request_shows_that_it_was_accepted(project, session, db, shown):
    ask(project, session, f"{HEAD}width * height{TAIL}    \n", 2)
    assert outcomes(db) == [(shown, "accepted", 1)]
    found = statistics(db)
    assert (found["accepted"], found["inferred"], found["characters"]["accepted"]) == (1, 1, 14)
    assert [each.outcome for each in reported_since(db, 0)] == ["accepted"]
    ask(project, session, f"{HEAD}None{TAIL}\n", 3)
    assert outcomes(db) == [(shown, "accepted", 1)], "it was accepted all the same"
    feedback_outcomes.record_outcome(db, shown, "rejected")
    assert outcomes(db) == [(shown, "rejected", 0)] and statistics(db)["inferred"] == 0


def test_a_request_that_is_answered_with_silence_tells_as_well(project, session, db, shown):
    project.git("config", "copilot.silentPaths", "src/*")
    text = f"{HEAD}width * height{TAIL}".encode()
    request = CompleteRequest("src/a.py:3", project.path, text, automatic=True)
    assert complete(request, find_place(request), session, Callbacks()).silenced
    (record,) = session.take_deferred()
    record()
    assert outcomes(db) == [(shown, "accepted", 1)]
    assert db.scalar("SELECT count(*) FROM feedback") == 1, "silence is nothing that was shown"


def test_an_inferred_rejection_is_counted_and_makes_no_example(project, session, db, shown):
    ask(project, session, f"{HEAD}sum([1, 2]){TAIL}", 3)
    assert outcomes(db) == [(shown, "rejected", 1)] and statistics(db)["rejected"] == 1
    assert reported_since(db, 0) == []
    assert db.scalar("SELECT count(*) FROM feedback WHERE final IS NOT NULL") == 0


def test_a_part_is_accepted_until_all_of_it_is(project, session, db, shown):
    ask(project, session, f"{HEAD}width *{TAIL}", 2)
    assert outcomes(db) == [(shown, "partial", 1)]
    assert statistics(db)["characters"]["accepted"] == 7
    ask(project, session, f"{HEAD}width * height{TAIL}", 3)
    assert outcomes(db) == [(shown, "accepted", 1)]
    counted = statistics(db)
    assert (counted["partial"], counted["accepted"]) == (0, 1)
    assert counted["inferred"] == db.scalar("SELECT sum(inferred) FROM feedback")
    assert counted["characters"]["accepted"] == 14


def test_typing_along_is_counted_apart(project, session, db, shown):
    for length in range(1, 15):
        ask(project, session, f"{HEAD}{'width * height'[:length]}{TAIL}", 2)
    assert outcomes(db) == [(shown, "typed", 1)]
    found = statistics(db)
    assert found["typed"] >= 1 and found["characters"]["accepted"] == 0
    assert reported_since(db, 0) == []


def test_a_report_is_not_overridden_by_a_buffer(project, session, db, shown):
    feedback_outcomes.record_outcome(db, shown, "rejected")
    ask(project, session, f"{HEAD}width * height{TAIL}", 3)
    assert outcomes(db) == [(shown, "rejected", 0)]


def test_other_files_and_an_old_place_tell_nothing(project, session, db, shown):
    ask(project, session, f"{HEAD}width * height{TAIL}", 3, path="src/b.py")
    assert outcomes(db) == [(shown, "shown", 0)]
    db.connection.execute("UPDATE feedback SET time = time - ?", (feedback.OPEN_SECONDS + 60,))
    ask(project, session, f"{HEAD}width * height{TAIL}", 3)
    assert outcomes(db) == [(shown, "shown", 0)]


def test_nothing_is_inferred_in_forgotten_files_or_when_feedback_is_off(
    project, session, db, shown
):
    project.git("config", "copilot.feedback", "false")
    ask(project, session, f"{HEAD}width * height{TAIL}", 3)
    assert outcomes(db) == [(shown, "shown", 0)]
    project.git("config", "copilot.feedback", "true")
    forget.forget(db, forget.PATH, "src")
    ask(project, session, f"{HEAD}width * height{TAIL}", 3)
    assert db.scalar("SELECT count(*) FROM feedback") == 0


def test_a_report_that_arrives_meanwhile_is_kept(project, db, shown):
    known = feedback_outcomes.open_completions(db, "src/a.py", 0)
    text = f"{HEAD}width * height{TAIL}    \n"
    place = find_place(CompleteRequest("src/a.py:4", project.path, text.encode()))
    feedback_outcomes.record_outcome(db, shown, "rejected")
    document = place.document
    found = feedback.buffer_outcomes(
        feedback.Buffer.at_cursor(document.prefix, document.suffix, document.line), known
    )
    assert [each.outcome for each in found] == ["accepted"]
    feedback_outcomes.record_inferred(db, found)
    assert outcomes(db) == [(shown, "rejected", 0)]
