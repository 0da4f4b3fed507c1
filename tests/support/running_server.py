"""Servers of ours that run while a test asks them."""

from __future__ import annotations

import threading

from git_copilot.assistant.client import transport
from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.server.server import Server


class ScriptedAnswer:
    """An answer whose JSON is what a test says."""

    why_empty = None
    hits = ()
    root = None

    def __init__(self, fields):
        self.fields = fields

    def to_json(self):
        return self.fields


class ScriptedService:
    """A service that has ``run(operation, request, session, callbacks)`` of a test's own do the
    work; what it returns is the JSON of the answer."""

    def __init__(self, run):
        self.session = Session()
        self._run = run

    def complete(self, request, callbacks):
        return ScriptedAnswer(self._run("complete", request, self.session, callbacks))

    def search(self, request, callbacks):
        return ScriptedAnswer(self._run("search", request, self.session, callbacks))

    def feedback(self, request, note):
        return ScriptedAnswer(self._run("feedback", request, self.session, None))

    def prepare_next(self, completion_id, is_interrupted):
        pass

    def close(self):
        self.session.close()


def completing(location, **more):
    """The line with which a client asks for a completion."""
    request = {"location": location, "cwd": "/"}
    return {"op": "complete", "request": request, **more}


class Running:
    """A server in a thread of this process."""

    def __init__(self, service=None):
        self.server = Server(60, service=service)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()
        assert transport.wait_for_server(10)

    def ask(self, **request):
        connection = transport.connect()
        assert connection is not None
        return transport.exchange(connection, request)

    def stop(self):
        self.ask(op="stop")
        self.thread.join(10)
        assert not self.thread.is_alive()
