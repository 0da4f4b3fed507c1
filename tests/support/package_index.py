"""A package index on loopback that serves ranges and can break connections."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PackageIndex:
    """Serves one wheel under ``/simple`` and ``/files``.

    ``drop`` cuts each answer after that many bytes, ``ranges`` tells whether range requests are
    supported, ``pause`` are seconds of sleep after each block, ``asked`` are the ranges requested.
    """

    def __init__(self, package: str, name: str, data: bytes) -> None:
        self.package, self.name, self.data = package, name, data
        self.drop: int | None = None
        self.ranges, self.html, self.pause, self.password = True, False, 0.0, ""
        self.asked: list[str | None] = []
        self.sent = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        user = f"{self.password}@" if self.password else ""
        return f"http://{user}127.0.0.1:{self._server.server_port}/simple"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self) -> tuple[str, bytes]:
        digest = hashlib.sha256(self.data).hexdigest()
        url = f"../../files/{self.name}"
        if self.html:
            return "text/html", f'<a href="{url}#sha256={digest}">{self.name}</a>'.encode()
        files = [{"filename": self.name, "url": url, "hashes": {"sha256": digest}}]
        facts = {"meta": {"api-version": "1.0"}, "name": self.package, "files": files}
        return "application/vnd.pypi.simple.v1+json", json.dumps(facts).encode()

    def _handler(index):  # noqa: C901 - the handler's self is another
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if index.password and "Authorization" not in self.headers:
                    self.send_error(401)
                elif self.path == f"/simple/{index.package}/":
                    self.answer(200, *index.page())
                elif self.path == f"/files/{index.name}":
                    self.file()
                else:
                    self.send_error(404)

            def answer(self, status, kind, body, **headers):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if not self.path.startswith("/files/"):
                    self.wfile.write(body)
                    return
                cut = body if index.drop is None else body[: index.drop]
                for begin in range(0, len(cut), 10_000):
                    self.wfile.write(cut[begin : begin + 10_000])
                    index.sent += len(cut[begin : begin + 10_000])
                    time.sleep(index.pause)

            def file(self):
                asked = self.headers.get("Range")
                index.asked.append(asked)
                begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
                if not asked or not index.ranges:
                    self.answer(200, "application/octet-stream", index.data)
                elif begin >= len(index.data):
                    self.send_error(416)
                else:
                    end = f"bytes {begin}-{len(index.data) - 1}/{len(index.data)}"
                    self.answer(
                        206, "application/octet-stream", index.data[begin:], Content_Range=end
                    )

            def log_message(self, *args):
                pass

        return Handler
