"""Several candidates are the likeliest lines that the search found, with what each is worth."""

from __future__ import annotations

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.decoding.confidence import ConfidenceWeights, LineCost
from git_copilot.assistant.decoding.generation import Alternative, Generation
from tests.support.initialised_repo import initialise_repository
from tests.support.scripted_engine import ScriptedEngine, replace_engine

# The confidence falls with the nats alone: 0 nats are 88%, 2 are 50%, 4 are 12%.
WEIGHTS = ConfidenceWeights(2.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
CODE = "def area(width, height):\n    return \n"
LINES = [("width + height", 1.5), ("width * height * 2", 4.0), ("height", 2.5), ("width +* 2", 0.9)]


class Searching(ScriptedEngine):
    """An engine that found other lines, and samples what none of them says."""

    confidence = WEIGHTS

    def __init__(self, real, lines):
        super().__init__(real.tokenizer, "width * height")
        self._real, self._lines, self.sampled = real, lines, 0

    def __getattr__(self, name):
        return getattr(self._real, name)

    def generate(self, request):
        if request.sampling.temperature:
            self.sampled += 1
            return Generation(f"sampled_{self.sampled}", "stop", 3, 0, 0.0, 0.0)
        others = tuple(Alternative(text, nats, 3) for text, nats in self._lines)
        cost = LineCost(0.5, 3)
        return Generation(
            "width * height", "stop", 3, 0, 0.0, 0.0, lines=(cost,), alternatives=others
        )


@pytest.fixture
def ask(repo, folder, session):
    repo.commit({"src/a.py": CODE})
    project = initialise_repository(repo, folder, feedback="false")

    def answer(count, lines=LINES):
        request = CompleteRequest("src/a.py:2", project.path, retrieval=False, count=count)
        place = find_place(request)
        complete(request, place, session, Callbacks())
        (engine,) = session._engines.values()
        real = engine._real if isinstance(engine, Searching) else engine
        replace_engine(session, Searching(real, lines))
        return complete(request, place, session, Callbacks())

    return answer


def test_the_likeliest_lines_come_with_their_confidence(ask):
    found = ask(3).to_json()
    assert found["candidates"] == ["width * height", "width + height", "height"]
    assert found["confidences"] == sorted(found["confidences"], reverse=True)
    assert found["confidence"] == found["confidences"][0] > 0.8


def test_what_breaks_a_rule_or_begins_another_candidate_is_left_out(ask):
    texts = ask(9).candidates
    assert "width +* 2" not in texts, "no expression"
    assert "width * height * 2" not in texts, "it goes on behind the first"


def test_sampled_texts_follow_without_a_confidence(ask):
    answer = ask(5)
    assert answer.candidates[3:] == ("sampled_1", "sampled_2")
    assert answer.to_json()["confidences"][3:] == [None, None]


def test_one_candidate_searches_no_further(ask):
    answer = ask(1)
    assert answer.candidates == ("width * height",)
    assert "candidates" not in answer.to_json()
