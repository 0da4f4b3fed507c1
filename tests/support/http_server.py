"""A server that answers HTTP while a test asks it, with a service that does what the test says."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import httpx

from git_copilot.assistant.api.answers import (
    CompleteAnswer,
    CompletionExplanation,
    FillAnswer,
    IndexState,
    Timings,
)
from git_copilot.assistant.client import transport
from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.http.address import HttpAddress, bind
from git_copilot.assistant.http.listener import HttpListener
from git_copilot.assistant.http.token import Token
from git_copilot.assistant.server.server import Server

TOKEN = "the-token"


class FixedToken(Token):
    """A token without a file."""

    def __init__(self, text):
        self.file = Path("/nowhere/token") if text else None
        self._text, self._stamp = text, None


def fill_answer(*texts, root=None, finish="stop", id="cmpl-1", tokens=3):
    """An answer with these candidates."""
    explanation = CompletionExplanation(
        0, 0, (1024, 1024), 0, "spm", "", None, False, {}, 0, None, "", ()
    )
    answer = CompleteAnswer(
        id=id, candidates=texts or ("",), file="a.py", line=1, column=1, model="tiny", adapter=None,
        index=IndexState("", True), snippets=(), prompt_tokens=20, finish_reason=finish,
        cached_tokens=5, completion_tokens=tokens, timings=Timings(1.0, 2.0, 4.0, 7.0),
        explanation=explanation, several=len(texts) > 1,
    )  # fmt: skip
    return FillAnswer(answer, root)


class FillService:
    """A service that has ``run(request, callbacks)`` answer fill requests, and keeps them and the
    reports that it gets."""

    def __init__(self, run):
        self.session = Session()
        self.requests, self.reports, self.preloaded = [], [], 0
        self._run = run

    def fill(self, request, callbacks):
        self.requests.append(request)
        return self._run(request, callbacks)

    def feedback(self, request, note):
        self.reports.append(request)

    def preload(self):
        self.preloaded += 1

    def prepare_next(self, completion_id, is_interrupted):
        pass

    def close(self):
        self.session.close()


class HttpRunning:
    """Such a server in a thread of this process, and a client of it."""

    def __init__(self, run, token=TOKEN, folder=None, log=None):
        self.service = FillService(run)
        listener = HttpListener(
            bind(HttpAddress("127.0.0.1", 0)), token=FixedToken(token), folder=folder
        )
        self.server = Server(60, log=log, service=self.service, listener=listener)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()
        assert transport.wait_for_server(10)
        self.url = listener.address
        self.port = int(self.url.rpartition(":")[2])
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=20)

    def post(self, path, body, **more):
        return self.client.post(path, json=body, **more)

    def raw(self, data, seconds=20.0):
        """Send bytes on a connection of its own and return what comes until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            connection.sendall(data)
            found = b""
            try:
                while part := connection.recv(65536):
                    found += part
            except ConnectionResetError:
                pass
            return found

    def stop(self):
        self.client.close()
        if not self.thread.is_alive():
            return
        connection = transport.connect()
        assert connection is not None
        transport.exchange(connection, {"op": "stop"})
        self.thread.join(15)
        assert not self.thread.is_alive()
