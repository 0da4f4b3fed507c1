"""Reasons why a server was no help, on one line. Pure."""

from __future__ import annotations

import json
import re

MAX_MESSAGE = 200
_TOO_LONG = re.compile(r"context|too long|too large|max\w* (model )?len|exceed", re.IGNORECASE)


def short(text: str) -> str:
    """A text on one line, not too long."""
    return " ".join(text.split())[:MAX_MESSAGE]


def message_in(body: str) -> str:
    """The message in the body of a refusal: OpenAI's form, FastAPI's, or the text itself."""
    try:
        found = json.loads(body)
    except ValueError:
        return short(body)
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    return short(found if isinstance(found, str) else json.dumps(found))


def reason_of(exc: BaseException) -> str:
    """Why a request failed: the system's word for it where there is one."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return short(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    return short(str(exc) or type(exc).__name__)


def remedy(status: int, body: str, location: str, key_variable: str) -> str:
    """What a person can do about a refusal.

    :param location: where a redirect leads.
    :param key_variable: the environment variable with the key; may be empty.
    """
    if status >= 500:
        return "look at the server's log"
    if status in (401, 403):
        if key_variable:
            return f"put a valid key into ${key_variable}"
        return "name the variable that holds the key: `git config copilot.endpointKey NAME`"
    if status == 413 or (status == 400 and _TOO_LONG.search(body)):
        return "lower copilot.promptTokens"
    if status in (400, 422):
        return "if it takes no token ids: `git config copilot.endpointPrompt text`"
    if status == 429:
        return "the server has too much to do; try again later"
    return f"it leads to {location}" if location else "check copilot.endpoint"
