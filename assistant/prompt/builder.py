"""The prompt builder for serving, training and evaluation: :func:`build_prompt`.

Parts that rarely change come first (repository, snippets with the best one last, suffix for SPM),
parts that change with each key last, so that the key/value cache stays valid while typing.

The budget: whole snippets, best first, as long as they fit into their share; whole lines of the
suffix in its share; the prefix takes the rest, in whole lines from a stable first line. The
cursor's line has priority: snippets, then the suffix, give way to it, and only a line longer than
the whole prompt is cut to its end. Text is cut, control tokens never are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from git_copilot.assistant.prompt.fim import FimFormat
from git_copilot.assistant.prompt.token_boundary import TokenBoundary, find_token_boundary
from git_copilot.index.core.types import Hit
from git_copilot.index.text.classify import comment_prefix

# The prefix starts at a line whose number is a multiple of this, so that its start and the cache
# stay the same while lines are typed.
ANCHOR_LINES = 16
# With less room (in tokens) that would waste much of it: there a step has at most one line for every
# ANCHOR_TOKENS, so that an eighth is lost on average, a line having about ten tokens.
LITTLE_ROOM, ANCHOR_TOKENS = 320, 40
LEFT_TO_RIGHT = "left-to-right"
# Prefix, suffix and middle token.
MAX_CONTROLS = 3
# More than an average token of code has; longer text per token is not read.
MAX_TOKEN_CHARACTERS = 16


class Tokenizer(Protocol):
    """Text to ids and back: see :class:`~git_copilot.assistant.prompt.tokenizer.TextTokenizer`."""

    @property
    def fim(self) -> FimFormat | None: ...
    @property
    def begin_ids(self) -> tuple[int, ...]: ...
    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: list[int]) -> str: ...
    def spell(self, ids: list[int]) -> str: ...
    def control(self, token: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Budget:
    """Token limits: of the whole prompt, and of the snippets and the suffix in it."""

    prompt: int
    context: int
    suffix: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, the snippets that fitted (best first) with their sizes in tokens, and the mode:
    ``"psm"``, ``"spm"`` or ``"left-to-right"``. The last ``open_tokens`` ids are the text before
    the cursor where nothing stands between it and the completion, else 0. ``shown`` counts the
    characters before and behind the cursor that fitted. ``forced_prefix`` is the end of the text
    before the cursor that the ids leave out and the completion must begin with: see
    token_boundary.py."""

    ids: tuple[int, ...]
    snippets: tuple[tuple[Hit, int], ...]
    mode: str
    open_tokens: int = 0
    shown: tuple[int, int] = (0, 0)
    forced_prefix: str = ""

    @property
    def left_to_right(self) -> bool:
        """Whether the text behind the cursor is hidden from the model."""
        return self.mode == LEFT_TO_RIGHT


def build_prompt(
    tokenizer: Tokenizer,
    *,
    path: str,
    language: str,
    prefix: str,
    suffix: str,
    snippets: Sequence[Hit],
    budget: Budget,
    repository: str = "",
    healing: bool = True,
) -> Prompt:
    """Render a prompt of at most ``budget.prompt`` tokens.

    Left-to-right when the model has no fill-in-the-middle format or nothing follows the cursor. The
    cursor's line is kept whatever the budget.

    :param snippets: best first.
    :param healing: let the completion rewrite the end of the text before the cursor where no token
        ends at the cursor, see token_boundary.py.
    """
    fim = tokenizer.fim if suffix.strip() else None
    marker = comment_prefix(language)
    context, used = _context(tokenizer, marker, snippets, budget.context)
    head = _head(tokenizer, path, marker)
    if tokenizer.fim is not None and tokenizer.fim.separates:
        context, head = (context[1:], head) if context else (context, head[1:])
    begin, named = list(tokenizer.begin_ids), _repository(tokenizer, repository)
    tail = _first_lines(tokenizer, suffix, budget.suffix) if fim else []
    fixed = sum(map(len, (begin, named, head))) + MAX_CONTROLS
    line = _line_size(tokenizer, prefix, budget.prompt - fixed)
    if fixed + len(context) + len(tail) + line > budget.prompt:
        if tokenizer.fim is not None and tokenizer.fim.separates and context:
            head = head[1:]  # the first file now
        context, used = [], ()
        tail = tail[: max(0, budget.prompt - fixed - line)]
    room = budget.prompt - fixed - len(context) - len(tail)
    boundary = find_token_boundary(prefix, suffix, healing=healing)
    start, forced_prefix = _last_lines(tokenizer, prefix, room, boundary)
    shown = len(tokenizer.decode(start)) + len(forced_prefix), len(tokenizer.decode(tail))
    if fim is None:
        ids = [*begin, *named, *context, *head, *start]
        return Prompt(tuple(ids), used, LEFT_TO_RIGHT, len(start), shown, forced_prefix)
    pre, suf = tokenizer.control(fim.prefix), tokenizer.control(fim.suffix)
    mid = [tokenizer.control(fim.middle)] if fim.middle else []
    # Some families put the heads of the text behind the prefix token.
    outside, inside = _sides(fim, named, context, head)
    ids = [*begin, *outside]
    if fim.order == "spm":
        ids += [suf, *tail, pre, *inside, *start, *mid]
    else:
        ids += [pre, *inside, *start, suf, *tail, *mid]
    joined = fim.order == "spm" and not mid
    return Prompt(tuple(ids), used, fim.order, len(start) if joined else 0, shown, forced_prefix)


def _sides(
    fim: FimFormat, named: list[int], context: list[int], head: list[int]
) -> tuple[list[int], list[int]]:
    """The heads of the text: before the first token, and behind the prefix token."""
    if not fim.file:
        return [], [*context, *head]
    if not fim.inside:
        return [*named, *context, *head], []
    if fim.order == "psm" and fim.repo and not context:
        return [], [*named, *head]
    # <file_sep><fim_prefix>path: the separator ends the file before it.
    return [*named, *context, *head[:1]], head[1:]


def _repository(tokenizer: Tokenizer, repository: str) -> list[int]:
    """The repository's name, in families with a token for it."""
    fim = tokenizer.fim
    if fim is None or not fim.repo or not repository:
        return []
    # StarCoder2's report has nothing between the repository's name and what follows it.
    end = "" if fim.inside else "\n"
    return [tokenizer.control(fim.repo), *tokenizer.encode(f"{repository}{end}")]


def _mark(tokenizer: Tokenizer, marker: str) -> str:
    """The text before a file's name in families without a token for it."""
    fim = tokenizer.fim
    return fim.file_mark if fim is not None and fim.file_mark else f"{marker} "


def _has_files(tokenizer: Tokenizer) -> bool:
    return tokenizer.fim is not None and bool(tokenizer.fim.file)


def _head(tokenizer: Tokenizer, path: str, marker: str) -> list[int]:
    """The name of the cursor's file, in the family's format or as a comment."""
    fim = tokenizer.fim
    if fim is not None and fim.file:
        return [tokenizer.control(fim.file), *tokenizer.encode(f"{path}\n")]
    return tokenizer.encode(f"{_mark(tokenizer, marker)}{path}\n")


def _context(
    tokenizer: Tokenizer, marker: str, snippets: Sequence[Hit], budget: int
) -> tuple[list[int], tuple[tuple[Hit, int], ...]]:
    """Tokens of the snippets that fit, the best one last, and the snippets best first."""
    used: list[tuple[Hit, int]] = []
    parts: list[list[int]] = []
    left = budget
    for hit in snippets:
        ids = _snippet(tokenizer, marker, hit)
        if len(ids) <= left:
            left -= len(ids)
            used.append((hit, len(ids)))
            parts.append(ids)
    return [i for ids in reversed(parts) for i in ids], tuple(used)


def _snippet(tokenizer: Tokenizer, marker: str, hit: Hit) -> list[int]:
    text = hit.text.replace("\r\n", "\n").rstrip()
    if _has_files(tokenizer):
        assert tokenizer.fim is not None
        return [
            tokenizer.control(tokenizer.fim.file),
            *tokenizer.encode(f"{hit.path}\n{text}\n"),
        ]
    if tokenizer.fim is not None and tokenizer.fim.file_mark:
        return tokenizer.encode(f"{tokenizer.fim.file_mark}{hit.path}\n{text}\n\n")
    lines = [f"{marker} {hit.path}"]
    lines += [f"{marker} {line}" for line in text.split("\n") if line.strip()]
    return tokenizer.encode("\n".join(lines) + "\n")


def _first_lines(tokenizer: Tokenizer, text: str, budget: int) -> list[int]:
    """The whole lines from the start that fit, or the first line cut to fit."""
    # No line has more tokens than bytes; a token is rarely longer than eight characters.
    lines = text[: budget * 8].split("\n")
    count = len(lines)
    ids = tokenizer.encode("\n".join(lines))
    while len(ids) > budget and count > 1:
        # Drop in proportion to the surplus, so that long texts need few rounds.
        count = max(1, min(count - 1, count * budget // len(ids)))
        ids = tokenizer.encode("\n".join(lines[:count]))
    return ids[:budget]


def _line_size(tokenizer: Tokenizer, prefix: str, room: int) -> int:
    """The number of tokens of the cursor's line, at most ``room``."""
    line = prefix.rpartition("\n")[2]
    return min(room, len(tokenizer.encode(line[-room * MAX_TOKEN_CHARACTERS :])) if room > 0 else 0)


def _last_lines(
    tokenizer: Tokenizer, text: str, budget: int, boundary: TokenBoundary
) -> tuple[list[int], str]:
    """The end of ``text``, cut at the boundary: whole blocks of :data:`ANCHOR_LINES` (of fewer
    lines where there is little room) are dropped from the start until it fits, then single lines,
    never the last line."""
    lines = text.split("\n")
    room = max(budget, 1)
    step = ANCHOR_LINES
    while step > 1 and room < min(LITTLE_ROOM, step * ANCHOR_TOKENS):
        step //= 2
    # The first line from which the text is not longer than what is read at all.
    left, readable = room * MAX_TOKEN_CHARACTERS, len(lines)
    while readable and len(lines[readable - 1]) <= left:
        readable -= 1
        left -= len(lines[readable]) + 1
    if len(lines[-1]) > room * MAX_TOKEN_CHARACTERS:
        ids, forced_prefix = boundary.encode(tokenizer, lines[-1][-room * MAX_TOKEN_CHARACTERS :])
        return ids[-room:], forced_prefix

    def tail(first: int) -> tuple[list[int], str]:
        return boundary.encode(tokenizer, "\n".join(lines[first:]))

    def fits(first: int) -> bool:
        return first >= readable and len(tail(first)[0]) <= budget

    # Only anchors can be starts; most of a long file never fits, so search from its end.
    last = (len(lines) - 1) // step
    count = 1
    while count <= last and fits((last - count) * step):
        count *= 2
    low, high = max(0, last - count), last - count // 2  # the first that fits is in between
    while low < high:
        middle = (low + high) // 2
        if fits(middle * step):
            high = middle
        else:
            low = middle + 1
    first = max(low * step, readable)
    ids, forced_prefix = tail(first)
    while len(ids) > budget and first < len(lines) - 1:
        first += 1
        ids, forced_prefix = tail(first)
    # A single line that exceeds the budget: its end matters most.
    return (ids if len(ids) <= budget else ids[-max(budget, 1) :]), forced_prefix
