"""Brackets, quotes, comments and tags of many languages, without a grammar. Pure.

A small lexer per notation: how comments and strings begin, how strings are escaped and
interpolated, whether there are tags. It finds what is open at a place, which is all that
bracket_balance.py needs, and works without a grammar and on incomplete text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from git_copilot.assistant.postprocess.language_notation import OPTIONAL, RAW, VOID, Notation, Quote

PAIRS = {"(": ")", "[": "]", "{": "}"}
# Kinds of frames on the stack: a bracket; one in prose (in a comment, say); one with code in it, in
# a single-line string; a string; a line comment; a block comment; the inside of a tag; the text
# behind a tag.
BRACKET, PROSE, INSIDE, STRING, LINE, BLOCK, TAG, ELEMENT = "b", "p", "i", "q", "l", "c", "t", "e"


class Frame(NamedTuple):
    """An open construct: ``closer`` is the text that ends it, or the name of a tag."""

    kind: str
    closer: str
    quote: Quote | None = None


Stack = tuple[Frame, ...]
# Deeper than anybody nests, unclosed list items of old HTML included. A stack is copied at every mark,
# so that the work would grow with the square of the depth.
MAX_DEPTH = 500
_BRACKET_FRAMES = {opener: Frame(BRACKET, closer) for opener, closer in PAIRS.items()}
_CLOSED_FRAMES = {closer: Frame(BRACKET, closer) for closer in PAIRS.values()}


class Mark(NamedTuple):
    """A token that opens or closes something, or should: the ``stack`` after it, and the number of
    ``faults`` so far: closers without an opener, and frames left open in what was closed. ``loose``
    counts those of closing brackets in prose, where they are no faults."""

    start: int
    end: int
    stack: Stack
    faults: int
    loose: int


class Lexer:
    """Reads text in one notation."""

    def __init__(self, notation: Notation) -> None:
        self.notation = notation

    def marks(
        self, text: str, stack: Stack, inserted: tuple[int, int] = (0, 0), careful_until: int = 0
    ) -> Iterator[Mark]:
        """Every change of the stack, in order, up to the first that is deeper than :data:`MAX_DEPTH`.

        :param stack: the frames open where ``text`` begins.
        :param inserted: between these offsets a closing bracket in prose needs no opening one.
        :param careful_until: after this offset strings and comments without brackets are skipped.
        """
        place, faults, loose = 0, 0, 0
        search, in_code, skipping = self._reader(stack, careful_until > 0)
        while len(stack) <= MAX_DEPTH and (found := search(text, place)):
            start, place = found.span()
            before, group = stack, found.lastgroup
            if in_code and group == "open":
                stack = (*stack, _BRACKET_FRAMES[text[start]])
                yield Mark(start, place, stack, faults, loose)
            elif (
                in_code and group == "close" and len(stack) > 1 and stack[-2].kind == BRACKET
                and stack[-1] == _CLOSED_FRAMES[text[start]]
            ):  # fmt: skip
                stack = stack[:-1]
                yield Mark(start, place, stack, faults, loose)
            else:
                stack, more, prose = self._advance(stack, found)
                if not prose:
                    faults += more
                elif not inserted[0] <= start < inserted[1]:
                    loose += more
                if stack is not before or more:
                    yield Mark(start, place, stack, faults, loose)
                    search, in_code, skipping = self._reader(stack, place < careful_until)
                elif start == place:
                    place += 1
            if not skipping and place >= careful_until:
                search, in_code, skipping = self._reader(stack, False)

    def _reader(self, stack: Stack, careful: bool) -> tuple[Callable[..., Any], bool, bool]:
        """The search function for the next token, whether brackets here are code, and whether whole
        strings and comments are skipped."""
        mode = _mode(stack)
        in_code = not self._in_prose(mode)
        ends_at_newline = in_code and any(frame.kind == INSIDE for frame in stack)
        pattern = _pattern(self.notation, None if in_code else mode, ends_at_newline, careful)
        return pattern.search, in_code, not careful

    def _in_prose(self, mode: Frame | None) -> bool:
        if mode is None:
            return self.notation.markup in ("html", "xml")
        return mode.kind not in (BRACKET, INSIDE)

    def _advance(self, stack: Stack, found: re.Match[str]) -> tuple[Stack, int, bool]:
        """The stack after a token, its faults, and whether they are in prose."""
        group, token, mode = found.lastgroup or "", found.group(), _mode(stack)
        if group == "open":
            kind = PROSE if self._in_prose(mode) else BRACKET
            return (*stack, Frame(kind, PAIRS[token])), 0, False
        if group == "close":
            return self._close_bracket(stack, mode, token)
        if group == "quote":
            quote = self._quote(mode, token)
            return (*stack, Frame(STRING, quote.closer, quote)), 0, False
        if group == "inside":
            tagged = mode is None or mode.quote is None or mode.quote.lines
            closer = PAIRS[token.replace("$", "")[-1]]
            return (*stack, Frame(BRACKET if tagged else INSIDE, closer)), 0, False
        if group in ("line", "block"):
            closer = "\n" if group == "line" else dict(self.notation.blocks)[token]
            return (*stack, Frame(LINE if group == "line" else BLOCK, closer)), 0, False
        if group in ("end", "torn"):
            return _closed_up_to(stack, mode), int(group == "torn"), False
        if group == "broken":  # the line ends in code within a single-line string
            number = next(i for i, frame in enumerate(stack) if frame.kind == INSIDE)
            return stack[: number - 1], 1, False
        return self._advance_tag(stack, mode, group, token)

    def _close_bracket(
        self, stack: Stack, mode: Frame | None, token: str
    ) -> tuple[Stack, int, bool]:
        prose = self._in_prose(mode)
        kinds = (PROSE,) if prose else (PROSE, BRACKET, INSIDE)
        number = len(stack)
        while number and stack[number - 1].kind in kinds:
            number -= 1
            if stack[number].closer == token:
                return stack[:number], len(stack) - 1 - number, prose or self.notation.prose
        return stack, 1, prose or self.notation.prose

    def _advance_tag(
        self, stack: Stack, mode: Frame | None, group: str, token: str
    ) -> tuple[Stack, int, bool]:
        html = self.notation.markup == "html"
        if group == "begin":
            return (*stack, Frame(TAG, token.strip()[1:])), 0, False
        if group == "gt" and mode is not None:
            name, outer = mode.closer, _closed_up_to(stack, mode)
            if token == "/>" or (html and name.lower() in VOID):
                return outer, 0, False
            return (*outer, Frame(ELEMENT, name.lower() if html else name)), 0, False
        if group != "away":
            return stack, 0, False  # skipped text
        name = token[2:-1].strip()
        name = name.lower() if html else name
        number, torn = len(stack), 0
        while number and stack[number - 1].kind in (ELEMENT, PROSE):
            number -= 1
            frame = stack[number]
            if frame.kind == ELEMENT and frame.closer == name:
                return stack[:number], torn, False
            torn += not _is_optional(self.notation, frame)
        return stack, 1, False

    def _quote(self, mode: Frame | None, token: str) -> Quote:
        if mode is not None and mode.kind == TAG:
            return Quote(token, lines=True, escapes=False)
        notation = self.notation
        skipping = token.lstrip("rRbBuUfFtT") if notation.prefixed else token
        found = next(
            quote for quote in notation.quotes if (quote.opener or quote.closer) == skipping
        )
        formatted = notation.prefixed and set("fFtT") & set(token)
        return found._replace(inside="{") if formatted else found

    def unclosed(self, stack: Stack) -> int:
        """The number of frames that need a closer."""
        return sum(f.kind != LINE and not _is_optional(self.notation, f) for f in stack)


def _is_optional(notation: Notation, frame: Frame) -> bool:
    """Whether it needs no closer: an HTML paragraph, say."""
    if frame.kind == ELEMENT:
        return notation.markup == "html" and frame.closer in OPTIONAL
    return False


def _mode(stack: Stack) -> Frame | None:
    """The frame that decides how to read on."""
    return next((frame for frame in reversed(stack) if frame.kind != PROSE), None)


def _closed_up_to(stack: Stack, mode: Frame | None) -> Stack:
    """``stack`` without the frame of its mode and those inside it."""
    number = len(stack) - 1
    while number and stack[number] is not mode:
        number -= 1
    return stack[:number]


_BRACKETS = r"(?P<open>[(\[{])|(?P<close>[)\]}])"


@cache
def _pattern(
    notation: Notation, mode: Frame | None, ends_at_newline: bool, careful: bool
) -> re.Pattern[str]:
    """The tokens that matter where ``mode`` is open; the name of a group is the kind of its token.

    :param ends_at_newline: a line end closes everything open, up to the string.
    :param careful: strings and comments without brackets are not skipped.
    """
    kind = mode.kind if mode is not None else ""
    if mode is not None and mode.quote is not None:
        parts = _string_parts(mode.quote)
    elif mode is not None and kind in (LINE, BLOCK):
        parts = [f"(?P<end>{re.escape(mode.closer)})", _BRACKETS]
    elif kind == TAG:
        parts = [r"(?P<gt>/?>)", r"(?P<quote>[\"'])"]
        parts += [r"(?P<inside>\{)"] if notation.markup == "jsx" else []
    elif mode is not None and kind == ELEMENT and mode.closer in RAW and notation.markup == "html":
        parts = [rf"(?P<away></{mode.closer}\s*>)", _BRACKETS]
    elif kind == ELEMENT or notation.markup in ("html", "xml"):
        parts = _markup_parts(notation)
    else:
        parts = _code_parts(notation, careful) + ([r"(?P<broken>\n)"] if ends_at_newline else [])
    return re.compile("|".join(parts))


def _string_parts(quote: Quote) -> list[str]:
    parts = [r"(?P<skip>\{\{|\}\})"] if quote.inside == "{" else []
    parts += [f"(?P<inside>{re.escape(quote.inside)})"] if quote.inside else []
    parts += [r"(?P<escape>\\[\s\S])"] if quote.escapes else []
    parts.append(f"(?P<end>{re.escape(quote.closer)})")
    return [*parts, *([] if quote.lines else [r"(?P<torn>(?=\n))"]), _BRACKETS]


def _whole_string(quote: Quote) -> str:
    """A whole string without brackets in it."""
    begin, end = re.escape(quote.opener or quote.closer), re.escape(quote.closer)
    line = "" if quote.lines else "\n"
    return rf"{begin}[^{quote.closer[0]}\\{line}()\[\]{{}}$#]*{end}(?!{quote.closer[0]})"


def _markup_parts(notation: Notation) -> list[str]:
    blocks = "|".join(re.escape(begin) for begin, _ in notation.blocks if begin[0] == "<")
    parts = [f"(?P<block>{blocks})"] if blocks else []
    if notation.markup == "jsx":
        return [*parts, r"(?P<away></[\w:.-]*\s*>)", r"(?P<begin><[\w:.-]*)", r"(?P<inside>\{)"]
    return [*parts, r"(?P<away></[\w:.-]+\s*>)", r"(?P<begin><[A-Za-z][\w:.-]*)", _BRACKETS]


def _code_parts(notation: Notation, careful: bool) -> list[str]:
    skipped = [notation.skip] if notation.skip else []
    if not careful:
        skipped += [_whole_string(quote) for quote in notation.quotes]
        skipped += [rf"{re.escape(begin)}[^\n()\[\]{{}}]*\n" for begin in notation.comments]
    parts = [f"(?P<skip>{'|'.join(skipped)})"] if skipped else []
    if notation.blocks:
        parts.append(f"(?P<block>{'|'.join(re.escape(begin) for begin, _ in notation.blocks)})")
    if notation.comments:
        parts.append(f"(?P<line>{'|'.join(map(re.escape, notation.comments))})")
    if notation.quotes:
        begin = r"(?:\b[rRbBuUfFtT]{1,2})?" if notation.prefixed else ""
        quotes = "|".join(re.escape(each.opener or each.closer) for each in notation.quotes)
        parts.append(f"(?P<quote>{begin}(?:{quotes}))")
    if notation.markup == "jsx":
        parts.append(
            r"(?P<begin>(?:(?<=[(,=?:&|{}\[>;])\s*+|(?<=\n)[^\S\n]*+|(?<=return)\s++)"
            r"<(?=[A-Za-z>])[\w:.-]*)"
        )
    return [*parts, _BRACKETS]
