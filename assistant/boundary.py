"""The one error boundary: an exception becomes one line, an exit code and, for a bug, a log."""

from __future__ import annotations

import datetime
import platform
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import click

from git_copilot.assistant.config import APP, log_dir
from git_copilot.assistant.entry import TOLD_INTERRUPTED
from git_copilot.assistant.terminal import Terminal
from git_copilot.index.errors import (
    BUG,
    INTERRUPTED,
    NO_ROOM,
    OK,
    ROOM_HINT,
    USAGE,
    USER_PROBLEM,
    CopilotError,
)


def run_guarded(action: Callable[[], int | None], terminal: Terminal) -> int:
    """Run ``action`` and return the exit code; whatever it raises is told in one line."""
    try:
        return action() or OK
    except CopilotError as exc:
        terminal.note(_one_line(str(exc)))
        return exc.exit_code
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.UsageError as exc:
        if _is_help(exc):
            terminal.err.write(f"{exc.format_message()}\n")
            return USAGE
        command = exc.ctx.command_path if exc.ctx else APP
        problem = _one_line(exc.format_message()).rstrip(".")
        terminal.note(f"{problem}; see `{command} -h`")
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        terminal.note(TOLD_INTERRUPTED)
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        return OK  # the reader had enough (`| head`); click turns that into an exit
    except MemoryError:
        terminal.note("not enough memory; choose a smaller model with `git copilot model use`")
        return USER_PROBLEM
    except OSError as exc:
        hint = f"; {ROOM_HINT}" if exc.errno in NO_ROOM else ""
        terminal.note(_one_line(f"{exc.filename or 'the system'}: {exc.strerror or exc}{hint}"))
        return USER_PROBLEM
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is a bug of ours: report it
        terminal.note(f"unexpected {type(exc).__name__}: {_one_line(str(exc))[:200]}; {_report()}")
        return BUG


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


def _report() -> str:
    """Write the current traceback to the log; say where."""
    path = log_dir() / "errors.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            log.write(
                f"### {now} git-copilot {package_version()}, Python {sys.version.split()[0]}, "
                f"{platform.platform()}\n### {' '.join(sys.argv)}\n{traceback.format_exc()}\n"
            )
    except OSError as exc:
        return f"the report could not be written ({exc})"
    return f"please report {path}"
