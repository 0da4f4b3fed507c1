"""A client of the language server that sends exactly the messages that a test says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from git_copilot.assistant.lsp.copilot_dialect import CopilotDialect
from git_copilot.assistant.lsp.server import EditorServer

COMMAND = [sys.executable, "-P", "-m", "git_copilot.assistant.entry", "lsp", "--stdio"]
SECONDS = 30


class ServerThread:
    """The language server in a thread, with the interface of a process."""

    def __init__(self):
        theirs, self.stdin = pipe()
        self.stdout, their_stdout = pipe()
        self._server = EditorServer()
        CopilotDialect(self._server)
        self._thread = threading.Thread(
            target=self._server.start_io, args=(theirs, their_stdout), daemon=True
        )
        self._thread.start()

    def poll(self):
        return None if self._thread.is_alive() else 0

    def wait(self, seconds):
        self._thread.join(seconds)
        assert not self._thread.is_alive()
        self._server.completer.close()
        return 0


def pipe():
    """Two files: one to read what is written to the other."""
    reader, writer = os.pipe()
    return os.fdopen(reader, "rb"), os.fdopen(writer, "wb")


class StdioClient:
    """The language server as a process, or without a command in a thread of this one. What it sends
    is kept: ``notes`` as (method, params)."""

    def __init__(self, command=None, **more):
        self.process = (
            ServerThread()
            if command is None
            else subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)
        )
        self.notes, self.asked, self.replies = [], [], {}
        self._sent = 0
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def initialize(self, options=None, capabilities=None, folders=()):
        params = {
            "processId": None,
            "rootUri": None,
            "capabilities": capabilities or {},
            "initializationOptions": options,
            "workspaceFolders": [{"uri": Path(f).as_uri(), "name": Path(f).name} for f in folders],
        }
        result = self.call("initialize", params)
        self.notify("initialized", {})
        return result

    def open(self, uri, text, language="python"):
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def inline(self, uri, line, character, kind=2, **context):
        """The parameters of a request for completions."""
        return {
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": character},
            "context": {"triggerKind": kind, **context},
        }

    def send(self, method, params):
        """Send a request; its id."""
        self._sent += 1
        self._write({"id": self._sent, "method": method, "params": params})
        return self._sent

    def wait(self, number, seconds=SECONDS):
        """The whole reply to a request."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: number in self.replies, seconds), "no reply"
            return self.replies[number]

    def call(self, method, params):
        """The result of a request that succeeds."""
        reply = self.wait(self.send(method, params))
        assert "error" not in reply, reply
        return reply["result"]

    def notify(self, method, params):
        self._write({"method": method, "params": params})

    def told(self, method):
        """The parameters of all notifications of a method so far."""
        with self._arrived:
            return [params for name, params in self.notes if name == method]

    def wait_until(self, condition, seconds=SECONDS):
        with self._arrived:
            assert self._arrived.wait_for(condition, seconds)

    def close(self):
        """Leave as an editor does; the exit code."""
        if self.process.poll() is None:
            self.call("shutdown", None)
            self.notify("exit", None)
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        return code

    def _write(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _read(self):
        stream = self.process.stdout
        length = 0
        while header := stream.readline():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif header == b"\r\n":
                self._take(json.loads(stream.read(length)))

    def _take(self, message):
        if "method" in message and "id" in message:
            self._write({"id": message["id"], "result": None})
        with self._arrived:
            if "method" not in message:
                self.replies[message["id"]] = message
            elif "id" in message:
                self.asked.append((message["method"], message["params"]))
            else:
                self.notes.append((message["method"], message["params"]))
            self._arrived.notify_all()


def eventually(condition, seconds=SECONDS):
    """Wait for what another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
