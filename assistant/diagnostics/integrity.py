"""Whether the database is whole, in SQLite's own words."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from git_copilot.hooks.doctor import CheckResult
from git_copilot.index.core.errors import DISK_FULL_HINT
from git_copilot.index.store.database_files import is_busy, is_empty, is_full, translate_error
from git_copilot.index.store.read_only import may_write, open_for_reading, read_only_error

REBUILD = "git copilot index --rebuild"
# A quick_check reads every page; what does not end by then is left to --thorough.
CHECK_SECONDS, BUSY_SECONDS = 0.3, 0.5
STEPS = 10_000  # of SQLite's machine between two looks at the clock


def examine_integrity(path: Path, *, thorough: bool) -> CheckResult:
    """Whether SQLite finds the file whole; ``thorough`` sets no time limit."""
    if is_empty(path):
        return CheckResult("database", "fail", f"{path} is empty", REBUILD)
    size = f"{path.stat().st_size / 2**20:.0f} MB"
    begun = time.monotonic()
    refused = None if may_write(path) else read_only_error(path)
    try:
        connection = _open(path, refused is not None)
    except sqlite3.Error as exc:
        return CheckResult("database", "fail", f"{path} cannot be read ({exc})", REBUILD)
    try:
        if not thorough:
            connection.set_progress_handler(lambda: time.monotonic() - begun > CHECK_SECONDS, STEPS)
        check = "integrity_check" if thorough else "quick_check"
        (answer,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
    except sqlite3.Error as exc:
        if "interrupted" in str(exc):
            told = f"{size}, not checked to the end; --thorough does that"
            return CheckResult("database", "ok", told)
        if is_busy(exc):
            return CheckResult("database", "warn", f"{path} is busy", "try again in a moment")
        if is_full(exc, path):
            return CheckResult(
                "database", "fail", translate_error(exc, path).message, DISK_FULL_HINT
            )
        return CheckResult("database", "fail", f"{path} is damaged ({exc})", REBUILD)
    finally:
        connection.close()
    if answer != "ok":
        first = " ".join(str(answer).split())[:200]
        return CheckResult("database", "fail", f"{path} is damaged ({first})", REBUILD)
    if refused is not None:
        told = f"{size}, whole; read-only: {refused.message}; it is searched as it is"
        return CheckResult("database", "warn", told, refused.hint.strip("`"))
    return CheckResult("database", "ok", f"{size}, whole")


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    if read_only:
        return open_for_reading(path, BUSY_SECONDS)
    return sqlite3.connect(path, timeout=BUSY_SECONDS)
