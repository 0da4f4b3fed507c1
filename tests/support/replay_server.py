"""An OpenAI-compatible server that replays answers, and the shapes that they have."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress


class Replay:
    """A server that gives prepared answers, one per connection, and records the requests."""

    def __init__(self, answers):
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = []
        self.hung_up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        for answer in self._answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n")).decode()
                size = int(next(x for x in head.split("\r\n") if "Content-Length" in x).split()[1])
                self.asked.append((head, json.loads(stream.read(size))))
                with suppress(OSError):
                    for part in answer if isinstance(answer, list) else [answer]:
                        if part is WAIT:  # until the client hangs up
                            stream.read(1)
                            self.hung_up.set()
                        else:
                            stream.write(part)
                            stream.flush()

    def close(self):
        self._socket.close()


WAIT = object()


@contextmanager
def replay(*answers):
    server = Replay(answers)
    try:
        yield server
    finally:
        server.close()


def answer(body, status="200 OK", kind="application/json"):
    data = body.encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode() + data


def chunk(text, finish=None, **more):
    """A part of a streamed completion."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    event = {"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": [choice], **more}
    return f"data: {json.dumps(event)}\n\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"


def events(*parts):
    return HEAD + "".join(parts).encode()
