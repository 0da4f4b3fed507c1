"""Progress on the client's side."""

from __future__ import annotations

import asyncio

import pytest

from git_copilot.assistant.lsp import progress
from git_copilot.assistant.lsp.progress import ProgressReporter, is_fresh, until_fresh
from tests.support.initialised_repo import initialise_repository


class Client:
    """A client that confirms, or refuses, and keeps what it shows."""

    def __init__(self, *, refuses=False):
        self.shown, self._refuses = [], refuses

    async def create(self, token):
        if self._refuses:
            raise RuntimeError("no")

    def send(self, token, value):
        self.shown.append(value["kind"])


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(progress, "PAUSES", (0.01,))
    monkeypatch.setattr(progress, "LOADING_SECONDS", 0.05)


def test_only_what_is_slow_is_shown():
    async def run(seconds):
        client = Client()
        async with ProgressReporter(client).when_slow("title", "text"):
            await asyncio.sleep(seconds)
        await asyncio.sleep(0.05)
        return client.shown

    assert asyncio.run(run(0.0)) == []
    assert asyncio.run(run(0.2)) == ["begin", "end"]


def test_a_client_that_refuses_or_knows_no_progress_gets_none():
    async def run(client):
        reporter = ProgressReporter(client)
        async with reporter.shown("title", "text"), reporter.when_slow("title", "text"):
            await asyncio.sleep(0.1)

    client = Client(refuses=True)
    asyncio.run(run(client))
    asyncio.run(run(None))
    assert client.shown == []


def test_an_index_is_watched_once_until_it_is_fresh(tmp_path, monkeypatch):
    looks = []

    async def look(worktree):
        looks.append(worktree)
        return len(looks) == 3

    monkeypatch.setattr(progress, "is_fresh", look)

    async def run():
        client = Client()
        reporter = ProgressReporter(client)
        for _ in range(3):
            reporter.index_state(tmp_path, fresh=False)
        while client.shown != ["begin", "end"]:
            await asyncio.sleep(0.01)

    asyncio.run(run())
    assert looks == [tmp_path] * 3


def test_an_answer_that_is_fresh_ends_the_watch(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "PAUSES", (60.0,))

    async def run():
        client = Client()
        reporter = ProgressReporter(client)
        reporter.index_state(tmp_path, fresh=True)
        reporter.index_state(tmp_path, fresh=False)
        while client.shown != ["begin"]:
            await asyncio.sleep(0.01)
        reporter.index_state(tmp_path, fresh=True)
        while client.shown != ["begin", "end"]:
            await asyncio.sleep(0.01)

    asyncio.run(run())


def test_the_watch_ends_after_its_time(monkeypatch):
    monkeypatch.setattr(progress, "MOST_SECONDS", 0.05)

    async def never():
        return False

    async def run():
        await until_fresh(never, asyncio.Event())

    asyncio.run(run())


@pytest.mark.slow
def test_freshness_is_that_of_status(repo, runtime, tmp_path):
    repo.commit({"a.py": "x = 1\n"})
    assert asyncio.run(is_fresh(tmp_path)), "where nothing can be asked, nothing is waited for"
    assert asyncio.run(is_fresh(repo.path))
    initialise_repository(repo, tmp_path)
    assert not asyncio.run(is_fresh(repo.path))
