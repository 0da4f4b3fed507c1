"""Whether the database is whole, in SQLite's own words."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from git_copilot.hooks.doctor import Finding
from git_copilot.index.core.errors import ROOM_HINT
from git_copilot.index.store.database_files import explain, is_busy, is_empty, is_full
from git_copilot.index.store.read_only import may_write, open_for_reading, refusal

REBUILD = "git copilot index --rebuild"
# A quick_check reads every page; what does not end by then is left to --thorough.
CHECK_SECONDS, BUSY_SECONDS = 0.3, 0.5
STEPS = 10_000  # of SQLite's machine between two looks at the clock


def examine_integrity(path: Path, *, thorough: bool) -> Finding:
    """Whether SQLite finds the file whole; ``thorough`` sets no time limit."""
    if is_empty(path):
        return Finding("database", "fail", f"{path} is empty", REBUILD)
    size = f"{path.stat().st_size / 2**20:.0f} MB"
    begun = time.monotonic()
    refused = None if may_write(path) else refusal(path)
    try:
        connection = _open(path, refused is not None)
    except sqlite3.Error as exc:
        return Finding("database", "fail", f"{path} cannot be read ({exc})", REBUILD)
    try:
        if not thorough:
            connection.set_progress_handler(lambda: time.monotonic() - begun > CHECK_SECONDS, STEPS)
        check = "integrity_check" if thorough else "quick_check"
        (answer,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
    except sqlite3.Error as exc:
        if "interrupted" in str(exc):
            told = f"{size}, not checked to the end; --thorough does that"
            return Finding("database", "ok", told)
        if is_busy(exc):
            return Finding("database", "warn", f"{path} is busy", "try again in a moment")
        if is_full(exc, path):
            return Finding("database", "fail", explain(exc, path).message, ROOM_HINT)
        return Finding("database", "fail", f"{path} is damaged ({exc})", REBUILD)
    finally:
        connection.close()
    if answer != "ok":
        first = " ".join(str(answer).split())[:200]
        return Finding("database", "fail", f"{path} is damaged ({first})", REBUILD)
    if refused is not None:
        told = f"{size}, whole; read-only: {refused.message}; it is searched as it is"
        return Finding("database", "warn", told, refused.hint.strip("`"))
    return Finding("database", "ok", f"{size}, whole")


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    if read_only:
        return open_for_reading(path, BUSY_SECONDS)
    return sqlite3.connect(path, timeout=BUSY_SECONDS)
