"""Reads the values of settings in the syntax of git's configuration."""

from __future__ import annotations

import re

from git_copilot.assistant.backend.formats import PRECISIONS
from git_copilot.assistant.prompt.fim import FORMATS
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import FORMS

# The smallest values that make sense; a prompt must hold a line and the prompt's header.
MINIMA = {
    "maxtokens": 1,
    "prompttokens": 128,
    "adapterrank": 1,
    "refreshholes": 1,
    "endpointtimeout": 1,
}
CHOICES = {
    "refreshwhen": ("now", "idle", "night"),
    "qlora": ("auto", "on", "off"),
    "refreshpreset": ("default", "personal-copilot"),
    "refreshstart": ("base", "adapter", "replay"),
    "corpussource": ("commits", "snapshot", "both", "auto"),
    "fim": ("auto", "none", *(form.family for form in FORMATS)),
    "precision": PRECISIONS,
    "evaluationform": FORMS,
    "trainingform": FORMS,
    "adaptertrust": ("signed", "any"),
    "endpointprompt": ("auto", "tokens", "text"),
    "endpointadapters": ("none", "name", "load"),
}
# Settings that are lists, separated by commas or blanks, of these words.
LISTS = {
    "silentin": ("comments", "strings", "statements"),
    "refreshpause": ("battery", "load"),
}
MAX_DIGITS = 15
_WHOLE = re.compile(r"([0-9]+)([kmg]?)")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
TRUE = {"true", "yes", "on", "1", ""}
FALSE = {"false", "no", "off", "0"}


def items(value: str) -> tuple[str, ...]:
    """The words of a list."""
    return tuple(value.replace(",", " ").split())


def whole_number(value: str) -> int | None:
    """A whole number from 0 in the syntax of git's configuration (with ``k``, ``m`` and ``g``),
    at most 10 to the power of :data:`MAX_DIGITS`."""
    found = _WHOLE.fullmatch(value.lower())
    if found is None:
        return None
    digits, unit = found.groups()
    if len(digits) > MAX_DIGITS:
        return int(10**MAX_DIGITS)
    return int(digits) * _UNITS[unit]


def convert(key: str, value: str, kind: type, name: str) -> object:
    """A value in its type.

    :param key: in git's lower case.
    :param name: the setting's, for messages.
    :raises CopilotError: it is none of the values that the setting may have.
    """
    if kind is bool:
        if value.lower() in TRUE | FALSE:
            return value.lower() in TRUE
    elif kind is int:
        number = whole_number(value)
        if number is not None and MINIMA.get(key, 0) <= number < 10**MAX_DIGITS:
            return number
    elif key in LISTS:
        if set(items(value)) <= set(LISTS[key]):
            return value
    elif value in CHOICES.get(key, (value,)):
        return value
    if key in LISTS:
        wanted = f"a list of {', '.join(LISTS[key])}"
    elif key in CHOICES:
        wanted = f"one of {', '.join(CHOICES[key])}"
    else:
        wanted = "true or false" if kind is bool else f"a whole number from {MINIMA.get(key, 0)}"
    raise CopilotError(f"{name} is {value!r}, not {wanted}", f"set it with `git config {name} …`")
