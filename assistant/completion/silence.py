"""Where nothing is proposed unless the user asks for it: by the user's settings. Pure."""

from __future__ import annotations

import ast
import re
import secrets
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from git_copilot.assistant.api.answers import (
    CompleteAnswer,
    CompletionExplanation,
    IndexState,
    Timings,
)
from git_copilot.assistant.core.setting_values import items
from git_copilot.assistant.postprocess.bracket_balance import MAX_LINE
from git_copilot.assistant.postprocess.pairs import OpenPairs
from git_copilot.index.text.classify import language_of

if TYPE_CHECKING:
    from git_copilot.assistant.completion.request import Place
    from git_copilot.assistant.core.config import Settings

# What a statement may end with while nobody is typing a name.
_ENDED = re.compile(r"[)\]}\"'`;]\s*\Z|\b(?:pass|break|continue|return|True|False|None)\s*\Z")


def reason_for_silence(place: Place, settings: Settings) -> str | None:
    """Why an editor that asks by itself gets nothing here; ``None`` where it may get something."""
    if not settings.automatic:
        return "copilot.automatic is false: nothing is proposed unless it is asked for"
    language = language_of(place.path)
    if language in items(settings.silent_languages):
        return f"copilot.silentLanguages has {language}"
    for pattern in items(settings.silent_paths):
        if _matches(place.path, pattern):
            return f"copilot.silentPaths has {pattern}"
    kinds = items(settings.silent_in)
    if not kinds:
        return None
    document = place.open_document
    pairs = OpenPairs(document.prefix, place.path)
    if "comments" in kinds and pairs.in_comment:
        return "the cursor is in a comment, which copilot.silentIn has"
    if "strings" in kinds and pairs.in_string:
        return "the cursor is in a string, which copilot.silentIn has"
    if "statements" in kinds and _is_complete(document.prefix, document.suffix, pairs, language):
        return "the statement is complete, and copilot.silentIn has statements"
    return None


def silent_answer(place: Place, model: str, reason: str) -> CompleteAnswer:
    """The answer where nothing is proposed. Nothing is computed for it."""
    document = place.document
    return CompleteAnswer(
        id=f"cmpl-silent-{secrets.token_hex(6)}",
        candidates=("",),
        file=place.notebook or place.path,
        line=document.line,
        column=document.column,
        model=model,
        adapter=None,
        index=IndexState("", True),
        snippets=(),
        prompt_tokens=0,
        finish_reason="stop",
        cached_tokens=0,
        completion_tokens=0,
        timings=Timings(0.0, 0.0, 0.0, 0.0),
        explanation=CompletionExplanation(
            0, 0, (0, 0), 0, "", "", None, False, {}, 0, None, "", ()
        ),
        silenced=reason,
    )


def _matches(path: str, pattern: str) -> bool:
    """A pattern with a slash is of the whole path, one without of the name or a folder's name."""
    if "/" in pattern.rstrip("/"):
        return fnmatchcase(path, pattern.lstrip("/"))
    return any(fnmatchcase(part, pattern.rstrip("/")) for part in path.split("/"))


def _is_complete(prefix: str, suffix: str, pairs: OpenPairs, language: str) -> bool:
    """Whether the cursor is at the end of a line that needs nothing more."""
    line = prefix.rpartition("\n")[2].strip()
    if not line or suffix.partition("\n")[0].strip() or not _ENDED.search(line):
        return False
    if pairs.in_comment or pairs.in_string or not pairs.is_closed(""):
        return False
    if language != "python":
        return line.endswith((";", "}"))
    if len(line) > MAX_LINE:  # too long to parse at every key
        return False
    try:
        ast.parse(line)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True
