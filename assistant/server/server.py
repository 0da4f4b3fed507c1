"""The warm server of one user: answers requests over a private Unix socket.

It loads models when they are first needed, works on one request at a time (two cores), ends
itself when idle, and stops a completion whose client has gone. A client that asks with ``"stream":
true`` gets a completion's lines while they are written, one with ``"alive": true`` receives
heartbeats.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from git_copilot.assistant.api.requests import CompleteRequest, FeedbackRequest, SearchRequest
from git_copilot.assistant.backend.allocator import HeapTrimmer, resident_bytes
from git_copilot.assistant.client.address import lock_path, secure_runtime_dir, socket_path
from git_copilot.assistant.client.server_log import DIED, ServerLog
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.core.error_handler import describe_failure, package_version
from git_copilot.assistant.server.client_link import ClientLink, same_user
from git_copilot.assistant.service.executor import Deferred, RequestExecutor
from git_copilot.assistant.service.service import Service
from git_copilot.index.core.errors import BUG

# A request holds a buffer; more than this is no request of ours.
MAX_REQUEST_BYTES = 128 * 2**20
POLL_SECONDS = 1.0
# An answer is recorded within this time, or not at all.
RECORD_SECONDS = 1.0
# Interval between log lines on memory while requests arrive.
MEMORY_SECONDS = 60.0
# A user who has not asked for this long is not typing a line.
IDLE_SECONDS = 10.0
LOCK_TRIES, LOCK_PAUSE = 4, 0.025


class Server:
    """Accepts connections until it is told to stop or nobody came for ``idle_seconds``."""

    def __init__(
        self, idle_seconds: float, log: ServerLog | None = None, service: Service | None = None
    ) -> None:
        self._service = service or Service()
        self._idle_seconds = idle_seconds
        self._log = log or ServerLog()
        self._reason = "asked to stop"
        self._memory_logged = (0.0, 0)  # when, and after how many requests
        self._executor = RequestExecutor(self._service)
        self._memory = HeapTrimmer()
        self._stopping = threading.Event()
        self._last_used = time.monotonic()
        self._active = 0
        self._started = time.time()
        self._recorded = threading.Condition()
        self._to_record = 0

    def serve(self) -> int:
        """Listen until stopped; return the exit code. A second server gives way at once."""
        path = socket_path()
        secure_runtime_dir()
        with lock_path().open("a+") as lock:
            before = _take(lock)
            if before is None:
                return 0
            self._begin(before)
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                listener.bind(str(path))
                path.chmod(0o600)
                listener.listen(16)
                listener.settimeout(POLL_SECONDS)
                self._accept(listener, path)
            finally:
                listener.close()
                path.unlink(missing_ok=True)
                self._executor.close()
            lock.truncate(0)  # a server that died leaves its pid there
            self._log.write(f"stopped: {self._reason}; {self._figures()}")
        return 0

    def end(self, reason: str) -> None:
        """Stop soon."""
        self._reason = reason
        self._stopping.set()

    def _begin(self, before: int) -> None:
        if before:
            self._log.write(f"server {before} {DIED}: killed (for its memory?), or crashed")
        self._log.write(
            f"started: git-copilot {package_version()}, Python {platform.python_version()}, "
            f"stops after {self._idle_seconds:g} idle seconds"
        )

    def _figures(self) -> str:
        return f"{resident_bytes() >> 20} MB after {self._executor.completed} requests"

    def _watch(self) -> None:
        """Log memory use now and then; give memory back when idle."""
        self._log.tidy()
        now = time.monotonic()
        if not self._active and now - self._last_used >= IDLE_SECONDS:
            self._memory.trim_when_idle()
        if (
            self._executor.completed != self._memory_logged[1]
            and now - self._memory_logged[0] >= MEMORY_SECONDS
        ):
            self._memory_logged = now, self._executor.completed
            self._log.write(f"memory: {self._figures()}")

    def _accept(self, listener: socket.socket, path: Path) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                self._watch()
                idle = time.monotonic() - self._last_used
                if not self._active and idle > self._idle_seconds:
                    self._reason = "idle"
                    return
                if not path.exists():  # the folder was cleaned: nobody can reach us any more
                    self._reason = "the socket was deleted"
                    return
                continue
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        self._active += 1
        try:
            with connection, connection.makefile("rwb") as stream:
                if not same_user(connection):
                    return
                line = stream.readline(MAX_REQUEST_BYTES)
                if not line.endswith(b"\n"):
                    return
                answer, deferred = self._answer(json.loads(line), connection)
                with self._recording(len(deferred)):
                    stream.write(json.dumps(answer).encode() + b"\n")
                    stream.flush()
                    for action in deferred:
                        action()
                self._memory.trim_after_request()
        except (OSError, ValueError):
            pass  # the client went away, or is none of ours
        finally:
            self._executor.go_on()
            self._active -= 1
            self._last_used = time.monotonic()

    @contextlib.contextmanager
    def _recording(self, count: int) -> Iterator[None]:
        """Mark answers that are being sent and recorded: a report on one may arrive at once."""
        with self._recorded:
            self._to_record += count
        try:
            yield
        finally:
            with self._recorded:
                self._to_record -= count
                self._recorded.notify_all()

    def _answer(self, request: Any, connection: socket.socket) -> tuple[dict[str, Any], Deferred]:
        """The reply, and what to do once it has gone out."""
        if not isinstance(request, dict):
            return {"declined": "a request is an object"}, []
        if "feedback" in request:
            return self._take_report(request["feedback"]), []
        operation, asked = request.get("op"), request.get("request")
        if operation == "stop":
            self._stopping.set()
            return {"stopped": os.getpid()}, [_wake]
        if operation == "status":
            return {
                "pid": os.getpid(),
                "version": package_version(),
                "requests": self._executor.completed,
                "uptime_s": round(time.time() - self._started, 1),
            }, []
        link, streams = ClientLink(connection), bool(request.get("stream"))
        if operation == "feedback":
            return self._feedback(asked), []
        if operation not in ("complete", "search"):
            return {"declined": f"unknown operation {operation!r}"}, []
        with link.alive(bool(request.get("alive"))):
            return self._work_on(operation, asked, link, streams=streams)

    def _work_on(
        self, operation: str, asked: Any, link: ClientLink, *, streams: bool
    ) -> tuple[dict[str, Any], Deferred]:
        """Complete or search: the reply, and what to do once it has gone out."""
        notes: list[str] = []
        callbacks = Callbacks(notes.append, link.hung_up, link.send_text if streams else None)
        use_case = self._complete if operation == "complete" else self._search
        done = self._executor.run(
            lambda: _guarded(lambda: use_case(asked, callbacks), notes), link.hung_up
        )
        if done is None:
            return {"declined": "cancelled"}, []
        reply, deferred = done
        error = reply.get("error")
        if error and error["exit_code"] == BUG:  # the content of the request is not logged
            self._log.write(f"{operation} failed; errors.log says how")
        return reply, [] if error else deferred

    def _complete(self, asked: Any, callbacks: Callbacks) -> dict[str, Any]:
        request = CompleteRequest.from_json(asked)
        answer = self._service.complete(request, callbacks)
        reply = {"answer": answer.to_json(), "why_empty": answer.why_empty}
        return {**reply, "explain": answer.explanation.to_json()} if request.explain else reply

    def _search(self, asked: Any, callbacks: Callbacks) -> dict[str, Any]:
        request = SearchRequest.from_json(asked)
        answer = self._service.search(request, callbacks)
        root = None if answer.root is None else str(answer.root)
        reply = {"answer": answer.to_json(), "root": root}
        return {**reply, "texts": [h.text for h in answer.hits]} if request.texts else reply

    def _feedback(self, asked: Any) -> dict[str, Any]:
        """Take a report beside a completion that is being made: it needs none of what the lock
        guards, and an editor that reports should not wait for a model."""
        with self._recorded:
            self._recorded.wait_for(lambda: not self._to_record, RECORD_SECONDS)
        notes: list[str] = []

        def take() -> dict[str, Any]:
            request = FeedbackRequest.from_json(asked)
            return {"answer": self._service.feedback(request, notes.append).to_json()}

        return _guarded(take, notes)

    def _take_report(self, body: Any) -> dict[str, Any]:
        """Answer ``{"feedback": {"cwd", "id", "outcome", "final"?}}`` of an editor with
        ``{"feedback": {"id", "outcome", "path"}}`` or ``{"error", "exit_code"}``."""
        reply = self._feedback(body)
        if "answer" in reply:
            return {"feedback": reply["answer"]}
        error = reply["error"]
        line = "; ".join(filter(None, (error["message"], error["hint"])))
        return {"error": f"git-copilot: {line}", "exit_code": error["exit_code"]}


def _guarded(action: Callable[[], dict[str, Any]], notes: list[str]) -> dict[str, Any]:
    """The result of an action, or its failure; plus its notes."""
    try:
        reply = action()
    except BaseException as exc:  # noqa: BLE001 - a bug is reported, and the server goes on
        reply = {"error": describe_failure(exc).to_json()}
    return {**reply, "notes": notes}


def _wake() -> None:
    """Wake the accept loop, so that the server stops at once."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
        knock.connect(str(socket_path()))


def _take(lock: TextIO) -> int | None:
    """Take the lock and write who holds it. Return who had it before and did not end on purpose
    (0: nobody), or ``None`` where somebody has it. A client that looks who does (address.lock_holder)
    has it for a moment, so one refusal says little."""
    for attempt in range(LOCK_TRIES):
        if attempt:
            time.sleep(LOCK_PAUSE)
        with contextlib.suppress(BlockingIOError):
            # Not files.file_lock: the file is read and written through the same descriptor.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.seek(0)
            before = lock.read(20).strip()
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            return int(before) if before.isascii() and before.isdigit() else 0
    return None
