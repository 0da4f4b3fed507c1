"""What there was no time to read is read after the answer, and used by the next one."""

from __future__ import annotations

import itertools

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.cli.commands.complete import explain_lines
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.prompt.latency import MIN_TOKENS
from tests.support.initialised_repo import initialise_repository
from tests.support.tiny_models import save_tiny

LINES = [f"total_{i} = alpha_{i}(value, name) + beta" for i in range(200)]
PLACE = "src/app.py:150"
WHOLE = 800  # at least; at 1000 tokens a second 400 are read in time


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", fim=True, layers=3)


@pytest.fixture
def project(repo, tiny, monkeypatch):
    repo.commit({"src/app.py": "\n".join(LINES) + "\n"})
    monkeypatch.setattr(Engine, "prefill_rate", property(lambda engine: 1000.0))
    return initialise_repository(
        repo, tiny, maxTokens="4", latencyMs="400", promptTokens="1024", suffixTokens="96"
    )


@pytest.fixture
def session():
    found = Session()
    yield found
    found.close()


def ask(project, session, text=None):
    request = CompleteRequest(PLACE, project.path, retrieval=False, text=text)
    return complete(request, find_place(request), session, Callbacks())


def typed(more):
    """The file with ``more`` typed at the end of the line."""
    lines = [*LINES[:149], LINES[149] + more, *LINES[150:]]
    return ("\n".join(lines) + "\n").encode()


def work_to_the_end(session):
    work, session.idle_work = session.idle_work, None
    assert work(lambda: False)


def test_the_first_answer_keeps_the_time_and_the_next_has_everything(project, session):
    first = ask(project, session)
    assert MIN_TOKENS <= first.prompt_tokens <= 400
    assert first.explanation.left_out > 300
    work_to_the_end(session)
    second = ask(project, session, typed(" *"))
    assert second.prompt_tokens > WHOLE > 2 * first.prompt_tokens
    assert second.cached_tokens > second.prompt_tokens - 80
    assert (second.explanation.left_out, session.idle_work) == (0, None)


def test_answers_until_then_reuse_what_the_first_has_read(project, session):
    first = ask(project, session)
    asked = itertools.count()
    # Interrupted by the next key, three times: one layer is done each time.
    for more in (" *", " * v"):
        assert not session.idle_work(lambda: next(asked) % 3 == 2)
        found = ask(project, session, typed(more))
        assert abs(found.prompt_tokens - first.prompt_tokens) < 20
        assert found.cached_tokens > found.prompt_tokens - 20
    work_to_the_end(session)
    assert ask(project, session, typed(" * val")).prompt_tokens > WHOLE


def test_reading_is_taken_up_where_a_key_interrupted_it(project, session, monkeypatch):
    asked, layers = itertools.count(), 3
    ask(project, session)
    assert not session.idle_work(lambda: next(asked) >= layers)  # once before all, once a layer
    ask(project, session, typed(" *"))
    again = itertools.count()

    def count():
        next(again)
        return False

    assert session.idle_work(count)
    # The one layer that was left, and then the new tokens; not 900 tokens through three layers.
    assert next(again) <= 1 + 1 + 1 + layers


def test_the_explanation_says_what_was_left_out(project, session):
    answer = ask(project, session)
    lines = explain_lines(answer.to_json(), answer.explanation.to_json())
    told = f"{answer.explanation.left_out} more left out for copilot.latencyMs"
    assert [line for line in lines if told in line]
    work_to_the_end(session)
    answer = ask(project, session)
    lines = explain_lines(answer.to_json(), answer.explanation.to_json())
    assert not [line for line in lines if "left out" in line]


def test_without_a_time_limit_everything_is_read_at_once(project, session):
    project.git("config", "copilot.latencyMs", "0")
    answer = ask(project, session)
    assert answer.prompt_tokens > WHOLE
    assert session.idle_work is None


def test_a_cut_prompt_is_told_once(project, session):
    notes = []
    for text in (None, typed(" *")):
        request = CompleteRequest(PLACE, project.path, retrieval=False, text=text)
        complete(request, find_place(request), session, Callbacks(notes.append))
    told = [note for note in notes if "copilot.latencyMs" in note]
    assert len(told) == 1 and "prompt tokens are left out" in told[0]
    assert session.cut_prompts == 2, "which `serve --status` and `status` show"
