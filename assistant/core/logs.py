"""Rotated logs in a repository's state folder."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

LOG_BYTES, LOG_FILES = 512 * 1024, 2


class _QuietHandler(logging.handlers.RotatingFileHandler):
    """Stays silent when the disk is full: a completion may share stderr."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop the record."""


def log_file(state_dir: Path, name: str) -> Path:
    """The newest of these logs."""
    return state_dir / "log" / f"{name}.log"


def worker_log(state_dir: Path, name: str) -> logging.Logger:
    """A rotated log: ``<state>/log/<name>.log``."""
    log = logging.getLogger(f"git_copilot.{name}")
    log.setLevel(logging.INFO)
    path = log_file(state_dir, name)
    path.parent.mkdir(exist_ok=True)
    handler = _QuietHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.handlers = [handler]
    return log
