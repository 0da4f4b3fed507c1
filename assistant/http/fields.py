"""Reads the fields of a JSON request. Whatever a client leaves out or sends as ``null`` has its
default; what has a wrong type is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from git_copilot.assistant.api.requests import MAX_CANDIDATES, MAX_TOKENS
from git_copilot.index.core.errors import USAGE, CopilotError
from git_copilot.index.search import open_texts

_Value = TypeVar("_Value")
# Open texts that are read of one request: editors send the nearest ones last, and no more are searched.
MAX_TEXTS = open_texts.MAX_TEXTS


class BadRequest(CopilotError):
    """A request that its protocol does not allow."""

    exit_code = USAGE


class Fields:
    """The fields of a JSON object."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    @classmethod
    def parse(cls, body: bytes) -> Fields:
        """:raises BadRequest: the body is no JSON object."""
        try:
            given = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise BadRequest("the body is not valid JSON", "send one JSON object") from exc
        return cls.of(given)

    @classmethod
    def of(cls, given: Any) -> Fields:
        """:raises BadRequest: the value is no JSON object."""
        if not isinstance(given, dict):
            raise BadRequest("the body is not a JSON object", "send one JSON object")
        return cls(given)

    def __contains__(self, name: str) -> bool:
        return self._given.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        return self._typed(name, str, default)

    def flag(self, name: str, *, default: bool = False) -> bool:
        return self._typed(name, bool, default)

    def number(self, name: str) -> int | None:
        """A whole number; one with a fraction is cut."""
        value = self._given.get(name)
        if value is None:
            return None
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole and not (isinstance(value, float) and not math.isnan(value)):
            raise BadRequest(f"{name!r} must be a number", "correct the request")
        return int(max(min(value, 2**31), -(2**31)))

    def object(self, name: str) -> Fields:
        """A nested object; an empty one where there is none."""
        return Fields(self._typed(name, dict, {}))

    def objects(self, name: str) -> list[Fields]:
        """A list of objects; whatever else is in it is passed over."""
        given: list[Any] = self._typed(name, list, [])
        return [Fields(each) for each in given[-MAX_TEXTS:] if isinstance(each, dict)]

    def texts(self, name: str) -> tuple[str, ...]:
        """A text or a list of texts."""
        value = self._given.get(name)
        if value is None:
            return ()
        given = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) for each in given):
            raise BadRequest(
                f"{name!r} must be a string or a list of strings", "correct the request"
            )
        return tuple(given)

    def max_tokens(self, name: str) -> int | None:
        """A limit on tokens within bounds; ``None`` where the client sets none (absent, negative)."""
        value = self.number(name)
        return None if value is None or value < 0 else max(1, min(value, MAX_TOKENS))

    def count(self, name: str) -> int:
        """A number of candidates."""
        return max(1, min(self.number(name) or 1, MAX_CANDIDATES))

    def folder(self, name: str) -> Path | None:
        """An absolute path."""
        value = self.text(name)
        if not value:
            return None
        folder = Path(value)
        if not folder.is_absolute() or "\0" in value:
            raise BadRequest(f"{name!r} must be an absolute path", "name the repository's folder")
        return folder

    def _typed(self, name: str, kind: type[_Value], default: _Value) -> _Value:
        value = self._given.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise BadRequest(f"{name!r} must be of type {kind.__name__}", "correct the request")
        return value
