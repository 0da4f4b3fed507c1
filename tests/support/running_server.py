"""Servers of ours that run while a test asks them."""

from __future__ import annotations

import threading

from git_copilot.assistant.server import client
from git_copilot.assistant.server.server import Server


class Running:
    """A server in a thread of this process."""

    def __init__(self, runner):
        self.server = Server(runner, 60)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()
        assert client.wait_for_server(10)

    def ask(self, **request):
        connection = client.connect()
        assert connection is not None
        return client.exchange(connection, request)

    def stop(self):
        self.ask(op="stop")
        self.thread.join(10)
        assert not self.thread.is_alive()
