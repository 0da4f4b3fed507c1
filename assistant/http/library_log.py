"""Takes what uvicorn says to the server's log, without letting strangers fill it."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable

LIBRARY = "uvicorn"
# What anybody who reaches the port brings about by what he sends, without a token.
STRANGERS = ("Invalid HTTP request", "Unsupported upgrade request")
SECONDS = 60.0
MOST_CHARACTERS = 200


class LibraryLog(logging.Handler):
    """Writes warnings and errors as lines of the server's log, each of them once a minute. Without a
    handler they go to standard error as they are: no time, no limit, and useful lines are rotated
    away."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """:param write: appends to the log, with the time."""
        super().__init__(logging.WARNING)
        self._write = write
        self._written: dict[str, float] = {}

    def attach(self) -> None:
        """Take the library's messages from now on."""
        logger = logging.getLogger(LIBRARY)
        logger.handlers, logger.propagate = [self], False

    def detach(self) -> None:
        """Leave them as they were before."""
        logger = logging.getLogger(LIBRARY)
        logger.removeHandler(self)
        logger.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())[:MOST_CHARACTERS]
        now = time.monotonic()
        if text.startswith(STRANGERS) or now - self._written.get(text, -SECONDS) < SECONDS:
            return
        self._written = {t: at for t, at in self._written.items() if now - at < SECONDS}
        self._written[text] = now
        if record.exc_info and record.exc_info[0] is not None:
            # Without the message, which may quote somebody's code.
            stack = "".join(traceback.format_tb(record.exc_info[2])).rstrip()
            text = f"{text}: {record.exc_info[0].__name__}\n{stack}"
        self._write(f"{LIBRARY}: {text}")
