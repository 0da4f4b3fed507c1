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
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from git_copilot.assistant.boundary import package_version, run_guarded
from git_copilot.assistant.client import lock_path, secure_runtime_dir, socket_path
from git_copilot.assistant.session import Session
from git_copilot.assistant.terminal import Terminal
from git_copilot.assistant.wire import Wire, same_user
from git_copilot.index.environment import REPOSITORY_VARIABLES
from git_copilot.index.errors import OK, USAGE, CopilotError

# A request is a command line and a buffer; more than this is no request of ours.
MAX_REQUEST_BYTES = 128 * 2**20
POLL_SECONDS = 1.0
# What was shown a moment ago is recorded by then, or never.
RECORD_SECONDS = 1.0
LOCK_TRIES, LOCK_PAUSE = 4, 0.025

Deferred = list[Callable[[], None]]
Runner = Callable[[list[str], Terminal, Session], int | None]


class Server:
    """Accepts connections until it is told to stop or nobody came for ``idle_seconds``."""

    def __init__(self, runner: Runner, idle_seconds: float) -> None:
        self._runner = runner
        self._idle_seconds = idle_seconds
        self._session = Session()
        self._work = threading.Lock()
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
        with lock_path().open("a") as lock:
            if not _take(lock):
                return 0
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
        return 0

    def _accept(self, listener: socket.socket, path: Path) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                idle = time.monotonic() - self._last_used
                if not self._active and idle > self._idle_seconds:
                    return
                if not path.exists():  # the folder was cleaned: nobody can reach us any more
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
                    code = run_guarded(
                        lambda: self._runner(argv, terminal, self._session), terminal, argv
                    )
                    deferred = self._session.take_deferred()
                    self._served += 1
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


def _take(lock: TextIO) -> bool:
    """Take the lock and write who holds it. A client that looks who does (client.lock_holder)
    has it for a moment, so one refusal says little."""
    for attempt in range(LOCK_TRIES):
        if attempt:
            time.sleep(LOCK_PAUSE)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            return True
    return False


def run_server(runner: Runner, idle_seconds: float, *, foreground: bool = False) -> int:
    """Serve in this process. In the background the process leaves its parent's session.

    :raises CopilotError: the socket cannot be made.
    """
    for name in REPOSITORY_VARIABLES:
        os.environ.pop(name, None)
    if not foreground:
        os.chdir("/")
    try:
        return Server(runner, idle_seconds).serve()
    except OSError as exc:
        raise CopilotError(
            f"the server's socket {socket_path()} cannot be made ({exc.strerror})",
            "set XDG_RUNTIME_DIR to a private folder",
        ) from exc


def start_server() -> int:
    """Start a server in the background, detached from terminal and pipes; return its pid."""
    import subprocess

    environment = {k: v for k, v in os.environ.items() if k not in REPOSITORY_VARIABLES}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "git_copilot.assistant.entry", "serve", "--background"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
        cwd="/",
    )
    return process.pid
