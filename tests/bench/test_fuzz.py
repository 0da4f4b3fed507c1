"""Every cursor position gets an answer: some of the ten thousand that bench/fuzz.py tries."""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path

import pytest

from tests.support.tiny_models import save_tiny

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
PLACES = 120


@pytest.fixture(scope="module")
def fuzz():
    sys.path.insert(0, str(BENCH))
    try:
        yield importlib.import_module("fuzz")
    finally:
        sys.path.remove(str(BENCH))


@pytest.fixture
def repository(fuzz, tmp_path):
    return fuzz.prepare(tmp_path / "repo", save_tiny(tmp_path / "tiny", fim=True))


@pytest.mark.slow
def test_every_cursor_position_gets_an_answer(fuzz, repository):
    files = fuzz.odd_files()
    for name in ("postprocess/trim.py", "remote/http_client.py"):
        data = (BENCH.parent / "assistant" / name).read_bytes()
        name = name.replace("/", "_")
        files[name] = data
        # What a random model writes into a whole file is dropped: these are never whole.
        for number in range(6):
            files[f"broken_{number}_{name}"] = data.replace(b"\n\n\n", b"\n\nx = = 1\n\n")
    found = fuzz.fuzz(repository, files, PLACES, seed=1)
    assert found.wrong == []
    assert found.places.total() == PLACES and len(found.places) > 10
    assert found.empty < PLACES * 2 // 3  # else little was tried


def test_sampled_positions_cover_every_class(fuzz):
    stream = fuzz.places(fuzz.odd_files()["crlf.py"], random.Random(0))
    seen = {next(stream)[0] for _ in range(400)}
    assert seen >= {"word", "blank line", "string", "comment", "first", "last", "line end"}


def test_the_fuzzer_detects_wrong_answers(fuzz, repository):
    """Tests the checks themselves: an answer with wrong line ends is detected."""
    from git_copilot.assistant.api.requests import CompleteRequest
    from git_copilot.assistant.completion.request import find_place

    data = fuzz.odd_files()["crlf.py"]
    place = find_place(CompleteRequest("crlf.py:2:3", repository, text=data))
    problems = list(fuzz.problems(place, "a\nb", 99, data, 8))
    assert problems == ["99 tokens", "a bare newline in a file with CRLF"]
