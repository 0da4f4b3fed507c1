"""The warm server of one user: answers commands over a private Unix socket.

It loads models when they are first needed, works on one request at a time (two cores), ends
itself when idle, and stops a completion whose client has gone. A client that asks with ``"stream":
true`` gets a completion's lines while they are written, one with ``"alive": true`` hears that it
is worked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from git_copilot.assistant.backend.allocator import HeapTrimmer, resident_bytes
from git_copilot.assistant.backend.compute_thread import ComputeThread
from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.core.error_handler import package_version, run_guarded
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.server.address import lock_path, secure_runtime_dir, socket_path
from git_copilot.assistant.server.connection import Wire, same_user
from git_copilot.assistant.server.log import DIED, ServerLog
from git_copilot.index.core.errors import BUG, OK, USAGE

# A request is a command line and a buffer; more than this is no request of ours.
MAX_REQUEST_BYTES = 128 * 2**20
POLL_SECONDS = 1.0
# What was shown a moment ago is recorded by then, or never.
RECORD_SECONDS = 1.0
# How often memory is noted while requests come.
MEMORY_SECONDS = 60.0
# Who has not asked for so long is not in the middle of a line.
IDLE_SECONDS = 10.0
LOCK_TRIES, LOCK_PAUSE = 4, 0.025

Deferred = list[Callable[[], None]]
Runner = Callable[[list[str], Terminal, Session], int | None]


class Server:
    """Accepts connections until it is told to stop or nobody came for ``idle_seconds``."""

    def __init__(self, runner: Runner, idle_seconds: float, log: ServerLog | None = None) -> None:
        self._runner = runner
        self._idle_seconds = idle_seconds
        self._log = log or ServerLog()
        self._reason = "asked to stop"
        self._told = (0.0, 0)  # when memory was noted, and after how many requests
        self._session = Session()
        self._work = threading.Lock()
        self._thread = ComputeThread("requests")
        self._memory = HeapTrimmer()
        self._stopping = threading.Event()
        self._last_used = time.monotonic()
        self._active = 0
        self._served = 0
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
                self._session.close()
                self._thread.close()
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
        return f"{resident_bytes() >> 20} MB after {self._served} requests"

    def _watch(self) -> None:
        """Now and then, note how much memory is taken; give some back when nobody asks."""
        self._log.tidy()
        now = time.monotonic()
        if not self._active and now - self._last_used >= IDLE_SECONDS:
            self._memory.trim_when_idle()
        if self._served != self._told[1] and now - self._told[0] >= MEMORY_SECONDS:
            self._told = now, self._served
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
                    self._reason = "the socket is gone"
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
            self._active -= 1
            self._last_used = time.monotonic()

    @contextlib.contextmanager
    def _recording(self, count: int) -> Iterator[None]:
        """While an answer goes out and is recorded: a report on it may come at once."""
        with self._recorded:
            self._to_record += count
        try:
            yield
        finally:
            with self._recorded:
                self._to_record -= count
                self._recorded.notify_all()

    def _answer(self, request: Any, connection: socket.socket) -> tuple[dict[str, Any], Deferred]:
        """The answer, and what to do once it has gone out."""
        if not isinstance(request, dict):
            return {"declined": "a request is an object"}, []
        if "feedback" in request:
            return self._take_feedback(request["feedback"]), []
        op = request.get("op")
        if op == "stop":
            self._stopping.set()
            return {"stopped": os.getpid()}, [_wake]
        if op == "status":
            return {
                "pid": os.getpid(),
                "version": package_version(),
                "requests": self._served,
                "uptime_s": round(time.time() - self._started, 1),
            }, []
        if op != "run":
            return {"declined": f"unknown operation {op!r}"}, []
        return self._run(request, connection)

    def _run(
        self, request: dict[str, Any], connection: socket.socket
    ) -> tuple[dict[str, Any], Deferred]:
        stdin, wire = request.get("stdin"), Wire(connection)
        out, err = io.StringIO(), io.StringIO()
        terminal = Terminal(
            cwd=Path(request["cwd"]),
            stdin=lambda: b"" if stdin is None else str(stdin).encode("latin-1"),
            out=out,
            err=err,
            screens=_screens(request.get("screens")),
            colour=bool(request.get("colour")),
            cancelled=wire.hung_up,
            on_text=wire.send_text if request.get("stream") else None,
        )
        argv = [str(x) for x in request["argv"]]
        deferred: Deferred = []
        with wire.alive(bool(request.get("alive"))):
            if argv[:1] == ["feedback"]:
                code = self._run_feedback(argv, terminal)
            else:
                with self._work:
                    if wire.hung_up():
                        return {"declined": "cancelled"}, []
                    code = self._thread.call(
                        lambda: run_guarded(
                            lambda: self._runner(argv, terminal, self._session), terminal, argv
                        )
                    )
                    deferred = self._session.take_deferred()
                    self._served += 1
                    if code == BUG:  # of what it was about nothing is noted
                        self._log.write(f"{argv[0]} failed; errors.log says how")
        answer = {"stdout": out.getvalue(), "stderr": err.getvalue(), "exit_code": code}
        return answer, deferred if code == OK else []

    def _run_feedback(self, argv: list[str], terminal: Terminal) -> int:
        """Run ``feedback`` beside a completion that is being made: it needs none of what the
        lock guards, and an editor that reports should not wait for a model."""
        with self._recorded:
            self._recorded.wait_for(lambda: not self._to_record, RECORD_SECONDS)
        return run_guarded(lambda: self._runner(argv, terminal, Session()), terminal, argv)

    def _take_feedback(self, body: Any) -> dict[str, Any]:
        """Answer ``{"feedback": {"cwd", "id", "outcome", "final"?}}`` of an editor with
        ``{"feedback": {"id", "outcome", "path"}}`` or ``{"error", "exit_code"}``."""
        needed = ("cwd", "id", "outcome")
        given = body if isinstance(body, dict) else {}
        final = given.get("final")
        texts = [given.get(name) for name in needed] + ([] if final is None else [final])
        if not all(isinstance(text, str) for text in texts):
            return {"error": f"feedback needs the texts {', '.join(needed)}", "exit_code": USAGE}
        out, err = io.StringIO(), io.StringIO()
        text = (final or "").encode("utf-8", "replace")
        terminal = Terminal(Path(given["cwd"]), lambda: text, out, err)
        options = ["--json"] if final is None else ["--json", "--final=-"]
        code = self._run_feedback(
            ["feedback", *options, "--", given["id"], given["outcome"]], terminal
        )
        if code != OK:
            return {"error": err.getvalue().strip(), "exit_code": code}
        return {"feedback": json.loads(out.getvalue())}


def _screens(told: Any) -> tuple[bool, bool]:
    """Whether the client's stdout and stderr are terminals; editors do not say."""
    return (
        (bool(told[0]), bool(told[1]))
        if isinstance(told, list) and len(told) == 2
        else (False, False)
    )


def _wake() -> None:
    """Let the server see at once that it is to stop: somebody connects."""
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
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.seek(0)
            before = lock.read(20).strip()
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            return int(before) if before.isascii() and before.isdigit() else 0
    return None
