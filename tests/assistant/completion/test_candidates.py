"""Several candidates: distinct, within the time limit, and streamed while they are written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.backend.transformers_backend import TransformersBackend
from git_copilot.assistant.cli.commands.complete import explain_lines
from git_copilot.assistant.client import transport
from git_copilot.assistant.completion import candidates as candidates_module
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.task import PATIENCE
from git_copilot.assistant.decoding.copy_weights import LONGEST, CopyWeights
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import Generation, Sampling
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from tests.support.initialised_repo import initialise_repository
from tests.support.left_to_right_model import plain_folder, plain_model, plain_tokenizer  # noqa: F401 - fixtures
from tests.support.scripted_engine import ScriptedEngine, replace_engine
from tests.support.tiny_models import CODE, UNFINISHED, save_tiny


@pytest.fixture
def project(repo, folder):
    """A repository with a file, known to git-copilot."""
    repo.commit({"src/a.py": CODE + UNFINISHED})
    return initialise_repository(repo, folder, maxTokens="16", feedback="false")


def ask(project, session, location="src/a.py:2", **more):
    shown = more.pop("on_text", None)
    request = CompleteRequest(location, project.path, retrieval=False, **more)
    place = find_place(request)
    return complete(request, place, session, Callbacks(on_text=shown))


def loaded(session):
    (engine,) = session._engines.values()
    return engine


def test_candidates_differ_and_the_first_is_the_greedy_answer(project, session):
    plain = ask(project, session)
    assert "candidates" not in plain.to_json()
    few, more = ask(project, session, count=4), ask(project, session, count=12)
    for answer, count in ((few, 4), (more, 12)):
        texts = answer.to_json()["candidates"]
        assert texts[0] == answer.completion == plain.completion
        assert len(set(texts)) == len(texts) <= count and all(texts[1:])
        assert ask(project, session, count=count).to_json()["candidates"] == texts
    assert len(few.to_json()["candidates"]) > 1
    assert len(more.to_json()["candidates"]) > len(few.to_json()["candidates"])


def test_an_engine_without_batching_gives_the_same_candidates(project, session, model, tokenizer):
    ask(project, session)
    beside, in_turn = Engine(model, tokenizer), Engine(model, tokenizer)
    in_turn.backend = TransformersBackend(model)
    in_turn.slots._new_cache = in_turn.backend.new_cache
    assert beside.side_by_side and not in_turn.side_by_side
    found = []
    for engine in (beside, in_turn):
        replace_engine(session, engine)
        found.append(ask(project, session, count=5).to_json()["candidates"])
    assert found[0] == found[1] and len(found[0]) > 2


class LimitRecorder:
    """An engine that notes how long it may take, and lets time pass."""

    def __init__(self, engine, clock):
        self._engine, self._clock, self.limits = engine, clock, []

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def generate(self, request):
        self.limits.append(request.sampling.time_limit_ms)
        self._clock.now += 0.3
        free = Sampling(request.sampling.max_tokens)
        return self._engine.generate(replace(request, sampling=free))

    def generate_many(self, requests):
        self.limits.append([request.sampling.time_limit_ms for request in requests])
        self._clock.now += 0.3
        free = [replace(r, sampling=replace(r.sampling, time_limit_ms=0)) for r in requests]
        return self._engine.generate_many(free)


class FakeClock:
    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def limit_recorder(project, session, monkeypatch):
    """An engine in use that records limits."""
    ask(project, session)
    clock = FakeClock()
    monkeypatch.setattr(candidates_module, "time", clock)
    recorder = LimitRecorder(loaded(session), clock)
    replace_engine(session, recorder)
    return recorder


def test_all_candidates_share_one_time_limit(project, session, limit_recorder):
    project.git("config", "copilot.timeLimitMs", "1000")
    ask(project, session, count=4)
    assert limit_recorder.limits == [1000, [700] * 3]
    limit_recorder.limits.clear()
    project.git("config", "copilot.timeLimitMs", "400")
    ask(project, session, count=12)
    assert limit_recorder.limits == [400, [100] * 8]  # the last three come too late
    limit_recorder.limits.clear()
    project.git("config", "copilot.timeLimitMs", "300")
    assert len(ask(project, session, count=4).to_json()["candidates"]) == 1


@pytest.mark.parametrize(
    ("setting", "more", "limit"),
    [
        (None, {}, 10_000),
        ("500", {}, 500),
        ("500", {"patient": True}, 500 * PATIENCE),
        ("0", {}, 0),
        ("500", {"at": "HEAD"}, 0),
    ],
)
def test_the_time_limit_comes_from_the_settings(
    project, session, limit_recorder, setting, more, limit
):
    if setting is not None:
        project.git("config", "copilot.timeLimitMs", setting)
    ask(project, session, **more)
    assert limit_recorder.limits == [limit]


def test_a_timeout_returns_the_trimmed_partial_completion(project, session):
    """With a millisecond there may be nothing yet, but never an error."""
    project.git("config", "copilot.maxTokens", "2000")
    project.git("config", "copilot.timeLimitMs", "1")
    project.commit({"src/a.py": CODE * 9})
    answer = ask(project, session, "src/a.py:50")
    assert answer.to_json()["completion_tokens"] < 2000
    assert answer.to_json()["finish_reason"] in {"length", "trimmed"}
    assert answer.explanation.out_of_time


@pytest.mark.parametrize("written", ["", "\n  ", "x"])
def test_a_timeout_before_the_first_token_is_reported(project, session, limit_recorder, written):
    made = Generation(written, "length", 1, 0, 1.0, 1.0)
    limit_recorder.generate = lambda *args, **kwargs: made
    request = CompleteRequest("src/a.py:2", project.path, retrieval=False)
    notes = []
    answer = complete(request, find_place(request), session, Callbacks(notes.append))
    assert answer.explanation.out_of_time
    told = [note for note in notes if "copilot.timeLimitMs" in note]
    assert len(told) == (not written.strip())


def test_no_further_candidates_are_generated_for_a_disconnected_client(
    project, session, limit_recorder
):
    place = find_place(CompleteRequest("src/a.py:2", project.path, retrieval=False, count=9))
    request = CompleteRequest("src/a.py:2", project.path, retrieval=False, count=9)
    complete(request, place, session, Callbacks(is_cancelled=lambda: True))
    assert len(limit_recorder.limits) == 1


@pytest.fixture
def fim_tokenizer(tmp_path_factory):
    return TextTokenizer.load(save_tiny(tmp_path_factory.mktemp("fim"), fim=True))


KEY = "AKIA" + "QYLPMN5HFIQR7XYA"  # in the form of a real one


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("w\n    x = 1\n    y = 2", ["w", "w\n    x = 1"]),
        ("one line", []),
        (f"w\n    x = 1\n    aws = '{KEY}'\n    y = 2\n", ["w", "w\n    x = 1"]),
    ],
)
def test_completed_lines_are_streamed_and_the_final_answer_is_unchanged(
    project, session, fim_tokenizer, written, shown
):
    ask(project, session)
    project.commit({"src/b.py": "def area(w):\r\n    return \r\n\r\n\r\nLAST = 2\r\n"})
    replace_engine(session, ScriptedEngine(fim_tokenizer, written))
    seen = []
    answer = ask(project, session, "src/b.py:2", on_text=seen.append)
    assert seen == [text.replace("\n", "\r\n") for text in shown]
    assert KEY not in answer.completion
    assert answer.completion.startswith(seen[-1] if seen else "")
    assert ask(project, session, "src/b.py:2").completion == answer.completion


def test_copied_text_names_its_source_and_secrets_are_never_copied(
    project, session, model, tokenizer
):
    ask(project, session)
    always = CopyWeights(0, 0, 0, 0, (50.0,) * LONGEST)
    replace_engine(session, Engine(model, tokenizer, copying=always))
    project.git("config", "copilot.promptTokens", "128")
    gap = "".join(f"LIMIT_{i} = {i}\n" for i in range(40))  # no prompt reaches beyond it
    text = f"def area(w, h):\n    return w.scaled(h) * 2\n{gap}def volume(w, h):\n    return w.\n"
    project.commit({"src/b.py": text})
    answer = ask(project, session, "src/b.py:44")
    assert answer.completion.startswith("scaled(h) * 2")
    assert answer.explanation.copied.keys() == {"src/b.py"}
    assert any(
        line.startswith("copied ")
        for line in explain_lines(answer.to_json(), answer.explanation.to_json())
    )
    project.commit({"src/b.py": f"AWS = '{KEY}'\n{gap}AWS = \n"})
    answer = ask(project, session, "src/b.py:42", max_tokens=40)
    assert sum(answer.explanation.copied.values()) > len(KEY)  # it was written, and cut off
    assert KEY[:8] not in answer.completion


def lines_of(request):
    with transport.connect() as connection, connection.makefile("rwb") as stream:
        stream.write(json.dumps(request).encode() + b"\n")
        stream.flush()
        return [json.loads(line) for line in stream]


def test_the_server_streams_lines_to_a_client_that_asks_for_them(
    project, start_server, fim_tokenizer
):
    written = "w\n    x = 1\n    y = 2"
    asked = {"location": "src/a.py:2", "cwd": str(project.path), "retrieval": False}
    request = {"op": "complete", "request": asked}
    running = start_server()
    (plain,) = lines_of(request)  # loads the model
    assert plain["answer"]["file"] == "src/a.py"
    replace_engine(running.server.service.session, ScriptedEngine(fim_tokenizer, written))
    *parts, reply = lines_of({**request, "stream": True})
    assert parts == [{"text": "w"}, {"text": "w\n    x = 1"}]
    completion = reply["answer"]["completion"]
    assert completion.startswith("w\n    x = 1")
    (silent,) = lines_of(request)
    assert silent["answer"]["completion"] == completion
