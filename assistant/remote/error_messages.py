"""What a server says is wrong, on one line. Pure."""

from __future__ import annotations

import json

MAX_MESSAGE = 200


def short(text: str) -> str:
    """A text on one line, not too long."""
    return " ".join(text.split())[:MAX_MESSAGE]


def message_in(body: str) -> str:
    """What the body of a refusal says: OpenAI's form, FastAPI's, or the text itself."""
    try:
        found = json.loads(body)
    except ValueError:
        return short(body)
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    return short(found if isinstance(found, str) else json.dumps(found))
