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
from pathlib import Path
from typing import Any, TextIO

from git_copilot.assistant.backend.allocator import HeapTrimmer, resident_bytes
from git_copilot.assistant.client.address import lock_path, secure_runtime_dir, socket_path
from git_copilot.assistant.client.server_log import DIED, ServerLog
from git_copilot.assistant.core.error_handler import package_version
from git_copilot.assistant.server.client_link import ClientLink, same_user
from git_copilot.assistant.server.operations import COMPLETE, SEARCH, Operations
from git_copilot.assistant.service.executor import Deferred, RequestExecutor
from git_copilot.assistant.service.hosting import Listener
from git_copilot.assistant.service.request_queue import RequestQueue
from git_copilot.assistant.service.service import Service

# A request holds a buffer; more than this is no request of ours.
MAX_REQUEST_BYTES = 128 * 2**20
POLL_SECONDS = 1.0
# Interval between log lines on memory while requests arrive.
MEMORY_SECONDS = 60.0
# A user who has not asked for this long is not typing a line.
IDLE_SECONDS = 10.0
LOCK_TRIES, LOCK_PAUSE = 4, 0.025


class Server:
    """Accepts connections until it is told to stop or nobody came for ``idle_seconds``."""

    def __init__(
        self,
        idle_seconds: float,
        log: ServerLog | None = None,
        service: Service | None = None,
        listener: Listener | None = None,
        http_problem: str | None = None,
    ) -> None:
        """:param listener: another way in, open as long as this one; with it the server does not
            end when idle, and only gives back the memory of its models.
        :param http_problem: why the user's settings ask for a listener and there is none."""
        self.service = service or Service()
        self._listener, self._http_problem = listener, http_problem
        self._idle_seconds = idle_seconds
        self.log = log or ServerLog()
        self._reason = "asked to stop"
        self.ended = True  # false: a computation could not be stopped in time
        self._memory_logged = (0.0, 0)  # when, and after how many requests
        self._executor = RequestExecutor(self.service)
        self.queue = RequestQueue(self._executor)
        self._unloaded = False
        self._memory = HeapTrimmer()
        self._stopping = threading.Event()
        self._last_used = time.monotonic()
        self._active = 0
        self._started = time.time()
        self._operations = Operations(self.service, self.queue, self.log)

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
            interrupted = False
            try:
                listener.bind(str(path))
                path.chmod(0o600)
                listener.listen(16)
                listener.settimeout(POLL_SECONDS)
                if self._listener is not None:
                    self._listener.open(self)
                self._accept(listener, path)
            except KeyboardInterrupt:
                self._reason, interrupted = "interrupted", True
            finally:
                listener.close()
                if self._listener is not None:
                    self._listener.close()
                path.unlink(missing_ok=True)
                self.ended = self._executor.close()
            lock.truncate(0)  # a server that died leaves its pid there
            self.log.write(f"stopped: {self._reason}; {self._figures()}")
        if interrupted:
            raise KeyboardInterrupt
        return 0

    def end(self, reason: str) -> None:
        """Stop soon."""
        self._reason = reason
        self._stopping.set()

    def _begin(self, before: int) -> None:
        if before:
            self.log.write(f"server {before} {DIED}: killed (for its memory?), or crashed")
        self.log.write(
            f"started: git-copilot {package_version()}, Python {platform.python_version()}, "
            f"stops after {self._idle_seconds:g} idle seconds"
        )
        if self._http_problem:
            self.log.write(f"no HTTP: {self._http_problem}")

    def _figures(self) -> str:
        return f"{resident_bytes() >> 20} MB after {self._executor.completed} requests"

    def _watch(self) -> None:
        """Log memory use now and then; give memory back when idle."""
        self.log.tidy()
        now = time.monotonic()
        if not self._active and now - self._last_used >= IDLE_SECONDS:
            self._memory.trim_when_idle()
        if (
            self._executor.completed != self._memory_logged[1]
            and now - self._memory_logged[0] >= MEMORY_SECONDS
        ):
            self._memory_logged = now, self._executor.completed
            self.log.write(f"memory: {self._figures()}")

    def _accept(self, listener: socket.socket, path: Path) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                self._watch()
                if self._is_idle():
                    self._reason = "idle"
                    return
                if not path.exists():  # the folder was cleaned: nobody can reach us any more
                    self._reason = "the socket was deleted"
                    return
                continue
            handler = (connection, self.queue.arrive())
            threading.Thread(target=self._handle, args=handler, daemon=True).start()

    def _is_idle(self) -> bool:
        """Whether to end. Where others may still connect, only the models go."""
        used = max(self._last_used, self._executor.last_used)
        idle = not self._active and time.monotonic() - used > self._idle_seconds
        if self._listener is None:
            return idle
        if idle and not self._unloaded:
            self._executor.post(self.service.session.unload)
            self.log.write("idle: models unloaded")
        self._unloaded = idle
        return False

    def _handle(self, connection: socket.socket, arrived: int) -> None:
        self._active += 1
        try:
            with connection, connection.makefile("rwb") as stream:
                if not same_user(connection):
                    return
                line = stream.readline(MAX_REQUEST_BYTES)
                if not line.endswith(b"\n"):
                    return
                answer, deferred = self._answer(json.loads(line), connection, arrived)
                with self.queue.recorder.sending(len(deferred)):
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

    def _answer(
        self, request: Any, connection: socket.socket, arrived: int
    ) -> tuple[dict[str, Any], Deferred]:
        """The reply, and what to do once it has gone out."""
        if not isinstance(request, dict):
            return {"declined": "a request is an object"}, []
        if "feedback" in request:
            return self._operations.take_report(request["feedback"]), []
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
                "http": self._listener.address if self._listener else None,
                "http_token_file": self._listener.token_file if self._listener else None,
                "http_problem": self._http_problem,
                "cut_prompts": self.service.session.cut_prompts,
            }, []
        link, streams = ClientLink(connection), bool(request.get("stream"))
        if operation == "feedback":
            return self._operations.feedback(asked), []
        if operation not in (COMPLETE, SEARCH):
            return {"declined": f"unknown operation {operation!r}"}, []
        with link.alive(bool(request.get("alive"))):
            return self._operations.work_on(
                operation, asked, link, streams=streams, arrived=arrived
            )


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
