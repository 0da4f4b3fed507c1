"""A language server over stdio, and a scripted server behind it."""

from __future__ import annotations

import threading

import pytest

from git_copilot.index.core.errors import CopilotError
from tests.support.stdio_client import StdioClient

EDITOR = {"editorInfo": {"name": "Neovim", "version": "0.11.4"}}


class ServerScript:
    """What the warm server does: answers at once, or when :attr:`gate` is set, and keeps what it
    was asked. ``cancelled`` are the locations of requests whose client left."""

    def __init__(self):
        self.requests, self.reports, self.cancelled = [], [], []
        self.answer = {"completion": "done()"}
        self.fresh, self.error = True, None
        self.hold_after = None  # the number of requests after which the gate closes
        self.gate = threading.Event()
        self.gate.set()

    def run(self, operation, request, session, callbacks):
        if operation == "feedback":
            self.reports.append(request)
            return {"id": request.completion_id}
        self.requests.append(request)
        if self.hold_after is not None and len(self.requests) > self.hold_after:
            self.gate.clear()
        while not self.gate.wait(0.01):
            if callbacks.is_cancelled():
                self.cancelled.append(request.location)
                raise CopilotError("cancelled", "")
        if self.error:
            raise CopilotError(*self.error)
        index = {"tree": "0" * 40, "fresh": self.fresh}
        return {"id": f"cmpl-{len(self.requests)}", "index": index, **self.answer}


@pytest.fixture
def script(start_server):
    """A running server that does what the script says."""
    script = ServerScript()
    start_server(script.run)
    yield script
    script.gate.set()


@pytest.fixture
def start_client(runtime):
    """Starts language servers; they end with the test."""
    clients = []

    def start(**more):
        clients.append(StdioClient(**more))
        return clients[-1]

    yield start
    for client in clients:
        assert client.close() == 0


@pytest.fixture
def client(start_client):
    """A client of the standard protocol."""
    client = start_client()
    client.initialize()
    return client


@pytest.fixture
def copilot_client(start_client):
    """A client that takes us for the Copilot language server."""
    client = start_client()
    client.initialize(EDITOR)
    return client


@pytest.fixture
def source(repo):
    """A file of a repository: its path."""
    repo.commit({"a.py": "first\n"})
    return repo.path / "a.py"
