"""``context`` shows what the prompt of a completion holds, and loads no model."""

from __future__ import annotations

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.context_view import view_context
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.session import Session
from git_copilot.index.core.errors import CopilotError
from tests.support.initialised_repo import initialise_repository
from tests.support.tiny_models import UNFINISHED, save_tiny

APP = "from util import alpha\n\n\ndef beta(name):\n    return alpha(name)\n" + UNFINISHED
UTIL = "def alpha(value):\n    return value + {}\n"
TOKEN = "ghp_" + "x7Rk2mQ9vL4tB8nW1cZ6yH3pD5sF0gJaKe2u"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", fim=True)


@pytest.fixture
def project(repo, tiny):
    repo.commit({"src/util.py": UTIL.format(1)})
    repo.commit({"src/app.py": APP})
    return initialise_repository(repo, tiny, maxTokens="4")


@pytest.fixture(name="session")
def closed_session():
    session = Session()
    yield session
    session.close()


def view(project, session, location="src/app.py:5", **more):
    request = CompleteRequest(location, project.path, **more)
    return view_context(request, find_place(request), session, Callbacks())


def test_it_is_what_a_completion_reads(project, session):
    shown = view(project, session)
    assert not session._engines
    request = CompleteRequest("src/app.py:5", project.path)
    answer = complete(request, find_place(request), session, Callbacks())
    assert shown.snippets == answer.snippets != ()
    assert shown.prompt == answer.explanation.prompt
    found = shown.to_json()
    assert found["snippets"][0]["text"] == UTIL.format(1)
    assert (found["file"], found["line"]) == ("src/app.py", 5)
    assert found["prompt_tokens"] == answer.prompt_tokens
    assert found["index"]["tree"] == answer.index.tree


def test_an_unsaved_buffer_and_an_older_commit(project, session):
    old = project.git("rev-parse", "HEAD")
    project.commit({"src/util.py": UTIL.format(22)})
    assert "value + 22" in view(project, session).prompt
    assert "value + 1" in view(project, session, at=old).prompt
    unsaved = view(project, session, text=APP.replace("beta", "gamma").encode())
    assert "gamma" in unsaved.prompt


def test_secrets_of_the_file_are_hidden(project, session):
    text = f'TOKEN = "{TOKEN}"\n{APP}'
    shown = view(project, session, "src/app.py:6", text=text.encode())
    assert TOKEN not in shown.prompt
    assert "TOKEN = " in shown.prompt


@pytest.mark.parametrize("location", ["src/none.py:1", "src/app.py:99", "src/app.py"])
def test_a_wrong_place_is_told(project, session, location):
    with pytest.raises(CopilotError):
        view(project, session, location)
