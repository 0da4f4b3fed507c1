"""What a model on a server is not told: secrets of the file that is being edited.

What retrieval finds holds none. The file itself is shown to a model on this machine as the editor
shows it; what is sent elsewhere has ``x`` for the letters and ``0`` for the digits of what looks
like a secret, and of every value in a file that holds nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from git_copilot.index.secrets.redaction import redact
from git_copilot.index.secrets.scan import context_above
from git_copilot.index.store.allowed_lines import Allowed, allowed_in
from git_copilot.index.text.secret_files import is_secret_file, mask_values

if TYPE_CHECKING:
    from git_copilot.assistant.completion.request import Place
    from git_copilot.assistant.core.config import Settings

QUOTES = "\"'`"


def told(place: Place, settings: Settings) -> Place:
    """The place with the text that may be sent to ``copilot.endpoint``; as it is without one."""
    return hidden(place) if settings.endpoint else place


def hidden(place: Place) -> Place:
    """The place without the secrets of its text."""
    document = place.document
    allowed = frozenset[str]() if place.repo is None else allowed_in(place.repo)
    prefix, suffix = discreet(document.prefix, document.suffix, place.path, allowed)
    return replace(place, document=replace(document, prefix=prefix, suffix=suffix))


def discreet(prefix: str, suffix: str, path: str, allowed: Allowed) -> tuple[str, str]:
    """The texts around a cursor without their secrets, every character in its place."""
    text = prefix + suffix
    shown = mask_values(text) if is_secret_file(path) else redact(text, path, allowed)
    before, after = shown[: len(prefix)], shown[len(prefix) :]
    line = prefix.rpartition("\n")[2]
    for quote in QUOTES:  # a secret that is being typed has no end yet
        if line.count(quote) % 2:
            closed = redact("\n".join([*context_above(prefix), line + quote]), path, allowed)
            typed = closed.rpartition("\n")[2][: len(line)]
            before = before[: len(prefix) - len(line)] + _both(
                before[len(prefix) - len(line) :], typed, line
            )
    return before, after


def _both(one: str, other: str, plain: str) -> str:
    """What is hidden in either of two texts is hidden."""
    return "".join(a if a != c else b for a, b, c in zip(one, other, plain, strict=True))
