"""The one error boundary: an exception becomes one line, an exit code and, for a bug, a log."""

from __future__ import annotations

import datetime
import os
import platform
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from git_copilot.assistant.core.config import APP, log_dir
from git_copilot.assistant.core.process import TOLD_INTERRUPTED
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.index.core.errors import (
    BUG,
    DISK_FULL_ERRNOS,
    DISK_FULL_HINT,
    INTERRUPTED,
    OK,
    USAGE,
    USER_PROBLEM,
    CopilotError,
    error_json,
    wants_json,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception in one line, for a person; ``log`` is the report of a bug."""

    exit_code: int
    message: str
    hint: str = ""
    log: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON of the contract for errors."""
        error = {"message": self.message, "hint": self.hint, "exit_code": self.exit_code}
        return error if self.log is None else {**error, "log": self.log}


class ServiceError(CopilotError):
    """A failure that a server reported: told here as it would be had it happened here."""

    def __init__(self, message: str, hint: str, exit_code: int, log: str | None = None) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code
        self.log = log


def run_guarded(
    action: Callable[[], int | None], terminal: Terminal, argv: Sequence[str] = ()
) -> int:
    """Run ``action`` and return the exit code; whatever it raises is told in one line on stderr
    and, where ``argv`` wants JSON and none was printed yet, as an object on stdout."""
    try:
        return action() or OK
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (BrokenPipeError, SystemExit):
        return OK  # the reader had enough (`| head`); click turns that into an exit
    except BaseException as exc:  # noqa: BLE001 - whatever else it is, it is a bug of ours: report it
        if isinstance(exc, click.UsageError) and _is_help(exc):
            if not wants_json(argv):
                terminal.err.write(f"{exc.format_message()}\n")
                return USAGE
            failure = Failure(USAGE, "a command is missing", "see `git copilot -h`")
        else:
            failure = describe_failure(exc)
    terminal.note("; ".join(filter(None, (failure.message, failure.hint))))
    if wants_json(argv) and not terminal.out.used:
        told = error_json(failure.message, failure.hint, failure.exit_code, failure.log)
        with suppress(OSError):  # it may be what failed
            terminal.echo(told)
            terminal.out.flush()
    return failure.exit_code


def describe_failure(exc: BaseException) -> Failure:
    """The one line of an exception that is being handled. Of a bug a report is written."""
    if isinstance(exc, CopilotError):
        log = getattr(exc, "log", None)
        return Failure(exc.exit_code, _one_line(exc.message), _one_line(exc.hint), log)
    if isinstance(exc, click.UsageError):
        command = exc.ctx.command_path if exc.ctx else APP
        return Failure(USAGE, _one_line(exc.format_message()).rstrip("."), f"see `{command} -h`")
    if isinstance(exc, KeyboardInterrupt | click.Abort):
        return Failure(INTERRUPTED, TOLD_INTERRUPTED)
    if isinstance(exc, MemoryError):
        hint = "choose a smaller model with `git copilot model use`"
        return Failure(USER_PROBLEM, "not enough memory", hint)
    if isinstance(exc, OSError):
        problem = _one_line(f"{exc.filename or 'the system'}: {exc.strerror or exc}")
        return Failure(
            USER_PROBLEM, problem, DISK_FULL_HINT if exc.errno in DISK_FULL_ERRNOS else ""
        )
    log, hint = _report()
    problem = f"unexpected {type(exc).__name__}: {_one_line(str(exc))[:200]}"
    return Failure(BUG, problem, hint, log)


def _is_help(exc: click.UsageError) -> bool:
    """Whether click raises the help of a group that was named without a command, which newer
    versions do; it is shown as it is."""
    kind = getattr(click.exceptions, "NoArgsIsHelpError", None)
    return kind is not None and isinstance(exc, kind)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def package_version() -> str:
    """The installed version of this package."""
    try:
        return version(APP)
    except PackageNotFoundError:
        return "unknown"


def _report() -> tuple[str | None, str]:
    """Write the current traceback to the log; where that is, and what to say of it."""
    path = log_dir() / "errors.log"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # For its owner alone: the command lines and messages in it may quote somebody's code.
        descriptor = os.open(path, flags, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as log:
            with suppress(OSError):
                os.fchmod(descriptor, 0o600)  # older versions left it to the umask
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            log.write(
                f"### {now} git-copilot {package_version()}, Python {sys.version.split()[0]}, "
                f"{platform.platform()}\n### {' '.join(sys.argv)}\n{traceback.format_exc()}\n"
            )
    except OSError as exc:
        return None, f"the report could not be written ({exc})"
    return str(path), f"please report {path}"
