"""``complete --at COMMIT`` repeats the answer given then, and leaves no trace in later queries."""

from __future__ import annotations

import sqlite3

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.completion.workspace import AT_PREFIX, MAX_AT_VIEWS
from git_copilot.index.store.database import DATABASE_NAME
from tests.support.initialised_repo import initialise_repository
from tests.support.tiny_adapters import add_adapter
from tests.support.tiny_models import UNFINISHED, save_tiny

APP = "from util import alpha\n\n\ndef beta(name):\n    return alpha(name)\n" + UNFINISHED
UTIL = "def alpha(value):\n    return value + {}\n"
SAME = ("id", "completion", "finish_reason", "model", "adapter", "index", "snippets")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", fim=True)


@pytest.fixture
def project(repo, tiny):
    """A repository with two commits of two files, known to git-copilot."""
    repo.commit({"src/util.py": UTIL.format(1)})
    repo.commit({"src/app.py": APP})
    return initialise_repository(repo, tiny, maxTokens="12")


def ask(project, session, location="src/app.py:5", **more):
    request = CompleteRequest(location, project.path, **more)
    answer = complete(request, find_place(request), session, Callbacks())
    for action in session.take_deferred():
        action()
    return answer


def told(answer, *but):
    """What must be the same; whether git had answered in time is another matter."""
    fields = {**answer.to_json(), "index": answer.index.tree}
    return {key: fields[key] for key in SAME if key not in but}


def stored(project, table):
    with sqlite3.connect(project.git_dir / "copilot" / DATABASE_NAME) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def test_completing_as_of_a_commit_repeats_the_answer_given_then(project, session, tiny):
    """Tree, snippets, settings and adapter are those of the commit, whatever came since."""
    project.commit({".gitcopilot": "[copilot]\n\tsnippets = 1\n\tsuffixTokens = 0\n"})
    then = project.git("rev-parse", "HEAD")
    first = add_adapter(project, tiny, 10, then)
    before = ask(project, session)
    assert before.to_json()["adapter"] == first and before.to_json()["snippets"]
    later = project.commit(
        {
            "src/util.py": UTIL.format(2) + "\n\ndef gamma(name):\n    return alpha(name)\n",
            "src/app.py": "x = 1\n" + APP,
            ".gitcopilot": "[copilot]\n\tsnippets = 4\n\tpromptTokens = 128\n",
        }
    )
    second = add_adapter(project, tiny, 20, later)
    now = ask(project, session)
    assert now.to_json()["adapter"] == second
    assert told(now, "adapter") != told(before, "adapter")
    for opened_repo in (session, Session()):  # warm, and by a process that knows nothing
        again = ask(project, opened_repo, at=then)
        assert told(again) == told(before)
        assert again.explanation.prompt == before.explanation.prompt
    opened_repo.close()
    base = ask(project, session, at=then, adapter="none")
    assert base.to_json()["adapter"] is None and base.completion != before.completion
    # Before it could know the commit, no adapter was there.
    assert ask(project, session, at=f"{then}~1").to_json()["adapter"] is None


def test_completing_as_of_a_commit_ignores_uncommitted_files(project, session):
    before = ask(project, session, at="HEAD")
    project.write({"src/util.py": UTIL.format(9), "src/new.py": "def alpha(name):\n    pass\n"})
    project.write({"src/app.py": "\n" * 9})
    assert told(ask(project, session, at="HEAD")) == told(before)
    paths = {s["path"] for s in ask(project, session, text=APP.encode()).to_json()["snippets"]}
    assert "src/new.py" in paths  # what is being worked on is seen now, and only now
    (project.path / "src/app.py").unlink()
    assert told(ask(project, session, at="HEAD")) == told(before)


def test_completing_as_of_a_commit_leaves_session_and_database_unchanged(project, session):
    """Neither by the session that answered, nor in the state that others read."""
    old = project.git("rev-parse", "HEAD")
    project.commit({"src/util.py": UTIL.format(2), "src/app.py": APP + "\n\nprint(beta(1))\n"})
    before = ask(project, session)
    tables = {name: stored(project, name) for name in ("holes", "feedback", "feedback_days")}
    for _ in range(2):
        ask(project, session, at=old)
    assert {name: stored(project, name) for name in tables} == tables  # no feedback on it
    after = ask(project, session)
    assert told(after) == told(before)
    # Typing goes on in the cache and in the context that it had.
    assert after.to_json()["cached_tokens"] >= before.to_json()["prompt_tokens"] - 1
    fresh = Session()
    assert told(ask(project, fresh)) == told(before)
    fresh.close()


def test_views_of_old_commits_are_bounded_and_rebuilt_on_demand(project, session):
    oids = [project.commit({"src/util.py": UTIL.format(i)}) for i in range(MAX_AT_VIEWS + 3)]
    said = [told(ask(project, session, at=oid)) for oid in oids]
    assert len({str(s["index"]) for s in said}) == len(oids)
    names = [name for name in (row[1] for row in stored(project, "views")) if AT_PREFIX in name]
    assert len(names) <= MAX_AT_VIEWS
    searchers = session.workspace(
        find_place(CompleteRequest("src/app.py:1", project.path)).repo
    )._searchers
    assert len(searchers) <= MAX_AT_VIEWS + 1
    assert [told(ask(project, session, at=oid)) for oid in oids] == said


def test_completing_as_of_a_commit_ignores_latency_and_time_limits(project, session):
    project.git("config", "copilot.latencyMs", "1")
    project.git("config", "copilot.timeLimitMs", "1")
    text = APP + "".join(f"# {i} {'word ' * 9}\n" for i in range(60))
    project.commit({"src/app.py": text})
    hurried = ask(project, session, "src/app.py:50")
    calm = ask(project, session, "src/app.py:50", at="HEAD")
    assert calm.to_json()["prompt_tokens"] > hurried.to_json()["prompt_tokens"]
    assert calm.to_json()["completion_tokens"] > 0
