"""A person who types what was proposed sees the rest of it, and nothing is computed."""

from __future__ import annotations

import pytest

from git_copilot.assistant.api.requests import CompleteRequest, OpenText
from git_copilot.assistant.completion import answer_cache
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.service.service import Service
from tests.support.initialised_repo import initialise_repository
from tests.support.scripted_engine import ScriptedEngine, replace_engine

ABOVE = "import os\n\n\ndef first(value):\n    return value\n\n\n"
BELOW = "\n\ndef last(value):\n    return value\n"
WRITTEN = "first(os.environ)"


@pytest.fixture
def project(repo, folder):
    repo.commit({"app.py": ABOVE + BELOW, "other.py": "x = 1\n"})
    return initialise_repository(repo, folder, maxTokens="40", snippets="0")


@pytest.fixture
def engine(project, session, tokenizer):
    """An engine that counts how often it is asked."""
    ask(project, session, "warm = ")

    class Counting(ScriptedEngine):
        calls = 0

        def __getattr__(self, name):
            return getattr(real, name)

        def generate(self, request):
            self.calls += 1
            return super().generate(request)

    real = next(iter(session._engines.values()))
    engine = Counting(tokenizer, WRITTEN)
    replace_engine(session, engine)
    return engine


def ask(project, session, typed, behind="", **more):
    text = ABOVE + typed + behind + BELOW
    line = (ABOVE + typed).count("\n") + 1
    column = len(typed.rpartition("\n")[2]) + 1
    request = CompleteRequest(f"app.py:{line}:{column}", project.path, text.encode(), **more)
    return complete(request, find_place(request), session, Callbacks())


def test_typing_along_shows_the_rest(project, session, engine):
    first = ask(project, session, "value = ")
    assert (first.completion, engine.calls, first.from_cache) == (WRITTEN, 1, False)
    for typed in ("f", "first", "first(os.env"):
        answer = ask(project, session, f"value = {typed}")
        assert answer.completion == WRITTEN[len(typed) :]
        assert (answer.id, answer.from_cache, answer.column) == (first.id, True, 9 + len(typed))
        assert answer.to_json()["from_cache"] is True
    assert engine.calls == 1


def test_a_key_that_was_not_proposed_asks_again(project, session, engine):
    ask(project, session, "value = ")
    ask(project, session, "value = x")
    assert engine.calls == 2
    assert not ask(project, session, f"value = {WRITTEN}").from_cache, "nothing was left of it"


def test_a_pair_that_the_editor_closes_is_filled(project, session, engine):
    ask(project, session, "value = ")
    answer = ask(project, session, "value = first(", behind=")")
    assert (answer.completion, answer.from_cache) == ("os.environ", True)
    answer = ask(project, session, "value = first(os", behind=")")
    assert (answer.completion, answer.from_cache) == (".environ", True)


def test_going_back_shows_the_earlier_answer_to_editors(project, session, engine):
    ask(project, session, "value = ", client="lsp-1")
    ask(project, session, "value = first", client="lsp-1")
    assert ask(project, session, "value = ", client="lsp-1").completion == WRITTEN
    assert engine.calls == 1
    assert not ask(project, session, "value = ").from_cache, "a command runs each time"


@pytest.mark.parametrize(
    "other",
    [{"max_tokens": 3}, {"count": 2}, {"open_texts": (OpenText("other.py", "x = 2\n"),)},
     {"retrieval": False}, {"adapter": "none"}],
)  # fmt: skip
def test_another_question_has_another_answer(project, session, engine, other):
    ask(project, session, "value = ")
    answer = ask(project, session, "value = f", **other)
    assert answer.from_cache is (other == {"adapter": "none"})  # which is what is in use


def test_a_commit_a_setting_and_another_suffix_count(project, session, engine):
    ask(project, session, "value = ")
    assert ask(project, session, "value = f").from_cache
    project.git("config", "copilot.maxTokens", "41")
    assert not ask(project, session, "value = f").from_cache
    ask(project, session, "value = ")
    assert ask(project, session, "value = f").from_cache
    assert not ask(project, session, "value = f", behind=" + 1").from_cache
    project.commit({"other.py": "x = 3\n"})
    assert not ask(project, session, "value = f").from_cache


def test_closers_that_came_or_went_are_another_question(project, session, engine):
    ask(project, session, "value = first(", client="lsp-1")
    assert not ask(project, session, "value = first(", behind=")", client="lsp-1").from_cache
    engine.calls = 0
    assert ask(project, session, "value = first(", behind=")", client="lsp-1").from_cache
    assert (
        not ask(project, session, "value = first(", client="lsp-1").from_cache or engine.calls == 0
    )


def test_the_same_is_computed_again_once_files_may_have_changed(
    project, session, engine, monkeypatch
):
    monkeypatch.setattr(answer_cache, "AGAIN_SECONDS", -1.0)
    ask(project, session, "value = ", client="lsp-1")
    assert not ask(project, session, "value = ", client="lsp-1").from_cache
    assert ask(project, session, "value = f", client="lsp-1").from_cache


def test_an_old_answer_is_not_shown(project, session, engine, monkeypatch):
    ask(project, session, "value = ")
    monkeypatch.setattr(answer_cache, "KEEP_SECONDS", -1.0)
    assert not ask(project, session, "value = f").from_cache


def test_line_ends_stay_those_of_the_file(project, session, engine, tokenizer):
    engine._ids = tokenizer.encode("first(\n    os,\n)")
    text = (ABOVE + "value = " + BELOW).replace("\n", "\r\n")

    def ask_crlf(typed):
        data = text.replace("value = ", f"value = {typed}").encode()
        request = CompleteRequest(f"app.py:8:{9 + len(typed)}", project.path, data)
        return complete(request, find_place(request), session, Callbacks())

    whole = ask_crlf("").completion
    assert "\r\n" in whole
    assert ask_crlf("first(").completion == whole.removeprefix("first(")


def test_behind_an_accepted_answer_the_next_is_prepared(project, session, engine, tokenizer):
    service = Service()
    service.session = session
    first = ask(project, session, "value = ", client="lsp-1")
    session.take_deferred()
    engine._ids = tokenizer.encode(" + first(1)")
    service.prepare_next(first.id, lambda: False)
    assert (engine.calls, session.take_deferred()) == (2, []), "nobody has seen it"
    next_answer = ask(project, session, f"value = {WRITTEN}", client="lsp-1")
    assert (next_answer.completion, next_answer.from_cache) == (" + first(1)", True)
    assert len(session.take_deferred()) == 1 and engine.calls == 2


def test_nothing_is_prepared_for_unknown_answers_or_while_somebody_asks(project, session, engine):
    service = Service()
    service.session = session
    first = ask(project, session, "value = ")
    service.prepare_next("cmpl-unknown", lambda: False)
    service.prepare_next(first.id, lambda: True)
    assert engine.calls == 1


def test_few_answers_are_kept(project, session, engine, monkeypatch):
    monkeypatch.setattr(answer_cache, "MAX_QUESTIONS", 2)
    for number in range(5):
        ask(project, session, "value = ", behind=f"  # {number}")
    assert len(session.answers._kept) == 2
    assert not ask(project, session, "value = f", behind="  # 0").from_cache
    assert ask(project, session, "value = f", behind="  # 4").from_cache
