"""Starts the server process, and logs how it ends."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType

from git_copilot.assistant.client.address import socket_path
from git_copilot.assistant.client.server_log import ServerLog, open_log
from git_copilot.assistant.core.process import forget_large_pages, with_large_pages
from git_copilot.assistant.server.server import Server
from git_copilot.assistant.service.hosting import Listener
from git_copilot.assistant.service.service import Service
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.environment import REPOSITORY_VARIABLES


def run_server(
    idle_seconds: float,
    *,
    foreground: bool = False,
    service: Service | None = None,
    listener: Listener | None = None,
    http_problem: str | None = None,
) -> int:
    """Serve in this process. In the background the process leaves its parent's session.

    :param listener: another way in, open as long as the socket; ``http_problem``: why there is
        none.
    :raises CopilotError: the socket cannot be made.
    """
    for name in REPOSITORY_VARIABLES:
        os.environ.pop(name, None)
    forget_large_pages()
    if not foreground:
        os.chdir("/")
    log = ServerLog(stderr=not foreground)
    server = Server(idle_seconds, log, service, listener, http_problem)
    with _told_to(log, server, foreground=foreground):
        code = _serve(server)
    if not server.ended:  # libraries abort where a thread still runs in them at exit
        os._exit(code)
    return code


def _serve(server: Server) -> int:
    try:
        return server.serve()
    except OSError as exc:
        raise CopilotError(
            f"the server's socket {socket_path()} cannot be made ({exc.strerror})",
            "set XDG_RUNTIME_DIR to a private folder",
        ) from exc


@contextlib.contextmanager
def _told_to(log: ServerLog, server: Server, *, foreground: bool) -> Iterator[None]:
    """Log whatever ends this process other than a request to stop."""

    def failed(where: str, kind: type[BaseException], trace: TracebackType | None) -> None:
        # Without the message, which may quote somebody's code.
        stack = "".join(traceback.format_tb(trace))
        log.write(f"{kind.__name__} in {where}\n{stack.rstrip()}")

    if log.descriptor >= 0:
        faulthandler.enable(log.descriptor)
    if not foreground:
        sys.excepthook = lambda kind, _, trace: failed("the server", kind, trace)
        threading.excepthook = lambda args: failed(
            args.thread.name if args.thread else "a thread", args.exc_type, args.exc_traceback
        )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: server.end(signal.Signals(got).name))
    try:
        yield
    finally:
        faulthandler.disable()
        log.close()


def start_server(options: Sequence[str] = (), folder: str = "/") -> int:
    """Start a server in the background, detached from terminal and pipes; return its pid.

    :param options: of ``serve``.
    :param folder: where its relative paths and its settings come from.
    """
    import subprocess

    environment = {k: v for k, v in os.environ.items() if k not in REPOSITORY_VARIABLES}
    try:
        errors = open_log()
    except OSError:  # a home that cannot be written
        errors = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "git_copilot.assistant.entry"),
                *("serve", "--background", *options),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            env=with_large_pages(environment),
            cwd=folder,
        )
    finally:
        os.close(errors)
    return process.pid
