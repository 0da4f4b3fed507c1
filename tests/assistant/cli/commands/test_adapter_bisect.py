"""``adapter bisect`` finds the adapter since which a completion changed."""

from __future__ import annotations

import contextlib
import io
import json
import math

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.cli.commands.adapter_bisect import find_change
from git_copilot.assistant.cli.main import dispatch
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.service.service import Service
from git_copilot.index.core.errors import CopilotError
from tests.support.initialised_repo import initialise_repository
from tests.support.tiny_adapters import add_adapter
from tests.support.tiny_models import UNFINISHED, save_tiny

APP = "def beta(name):\n    return alpha(name)\n" + UNFINISHED


@pytest.mark.parametrize("count", [2, 3, 4, 9, 33])
def test_every_change_is_found_in_few_steps(count):
    row = [str(i) for i in range(count)]
    for place in range(1, count):
        found = find_change(row, lambda name, place=place: str(int(name) >= place))
        assert (found.last_good, found.first_bad) == (str(place - 1), str(place))
        assert found.asked <= 2 + math.ceil(math.log2(count))


def test_a_place_that_did_not_change_is_told():
    with pytest.raises(CopilotError, match="none and b complete this place alike"):
        find_change(["none", "a", "b"], lambda name: "x")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", fim=True)


@pytest.fixture
def project(repo, tiny):
    repo.commit({"app.py": APP})
    return initialise_repository(repo, tiny, maxTokens="8", confidence="0")


def bisect(project, *argv):
    out = io.StringIO()
    service = Service()
    try:
        with contextlib.chdir(project.path):
            terminal = Terminal(project.path, lambda: b"", out, io.StringIO())
            assert dispatch(["adapter", "bisect", "app.py:2", *argv], terminal, service) == 0
    finally:
        service.close()
    return out.getvalue()


def test_the_first_adapter_that_writes_it_is_named(project, tiny):
    head = project.git("rev-parse", "HEAD")
    state = project.git_dir / "copilot"
    # Equal weights write the same; those of the third and fourth differ from the first two.
    names = [add_adapter(project, tiny, second, head) for second in (10, 20, 30, 40)]
    for target, source in ((1, 0), (3, 2)):
        folders = [adapter_store.adapter_path(state, names[i]) for i in (source, target)]
        weights = (folders[0] / adapter_store.WEIGHTS).read_bytes()
        (folders[1] / adapter_store.WEIGHTS).write_bytes(weights)
    found = json.loads(bisect(project, "--good", names[0], "--json"))
    assert (found["first_bad"], found["last_good"]) == (names[2], names[1])
    assert found["commits"] == [head, head]
    texts = found["completions"]
    assert list(texts) == [names[1], names[2]]
    assert texts[names[1]] != texts[names[2]]
    # What was pruned, or is damaged, is passed over.
    (adapter_store.adapter_path(state, names[1]) / adapter_store.WEIGHTS).write_bytes(b"")
    found = json.loads(bisect(project, "--good", names[0], "--json"))
    assert (found["first_bad"], found["last_good"]) == (names[2], names[0])
    printed = bisect(project, "--good", names[0], "--bad", names[3], "--at", "HEAD")
    assert printed.startswith(f"{names[2]} is the first, which learnt from {head[:12]}..")


def test_wrong_names_are_one_line(project, tiny):
    with pytest.raises(CopilotError, match="no adapter is in use"):
        bisect(project)
    head = project.git("rev-parse", "HEAD")
    one, two = (add_adapter(project, tiny, second, head) for second in (10, 20))
    with pytest.raises(CopilotError, match=f"{two} is not older than {one}"):
        bisect(project, "--good", two, "--bad", one)
    with pytest.raises(CopilotError, match="there is no adapter 'nobody'"):
        bisect(project, "--good", "nobody")
