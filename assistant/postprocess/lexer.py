"""Brackets, quotes, comments and tags of many languages, without a grammar. Pure.

A small lexer for each family of languages: what begins a comment or a string, how a string is
escaped, what is interpolated in it, whether there are tags. It says what is open at a place, which is
all that :mod:`git_copilot.assistant.postprocess.bracket_balance` needs, and it works where no grammar is at hand and
where the text is not whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from git_copilot.assistant.postprocess.language_notation import OPTIONAL, RAW, VOID, Notation, Quote

PAIRS = {"(": ")", "[": "]", "{": "}"}
# What a frame of the stack is: a bracket; one of prose (in a comment, say); one with code in it, in a
# string of one line; a string; a comment up to the line's end; a comment; the inside of a tag; the
# text behind a tag.
BRACKET, PROSE, INSIDE, STRING, LINE, BLOCK, TAG, ELEMENT = "b", "p", "i", "q", "l", "c", "t", "e"


class Frame(NamedTuple):
    """Something that is open: ``closer`` is the text that ends it, or the name of a tag."""

    kind: str
    closer: str
    quote: Quote | None = None


Stack = tuple[Frame, ...]
_BRACKET_FRAMES = {opener: Frame(BRACKET, closer) for opener, closer in PAIRS.items()}
_CLOSED_FRAMES = {closer: Frame(BRACKET, closer) for closer in PAIRS.values()}


class Mark(NamedTuple):
    """A token that opens or closes something, or should: what is open behind it, and how many
    times up to there nothing was open to be closed, or something was closed that had more open in
    it. ``loose`` of them are closing brackets of prose, where that is no fault."""

    start: int
    end: int
    stack: Stack
    faults: int
    loose: int


class Lexer:
    """Reads text of one family."""

    def __init__(self, family: Notation) -> None:
        self.family = family

    def marks(
        self, text: str, stack: Stack, free: tuple[int, int] = (0, 0), careful: int = 0
    ) -> Iterator[Mark]:
        """Every change of what is open, in order.

        :param stack: what is open where ``text`` begins.
        :param free: between these offsets a closing bracket of prose needs no opening one.
        :param careful: behind this offset strings and comments without a bracket are passed over.
        """
        place, faults, loose = 0, 0, 0
        search, code, bare = self._reader(stack, careful > 0)
        while found := search(text, place):
            start, place = found.span()
            before, group = stack, found.lastgroup
            if code and group == "open":
                stack = (*stack, _BRACKET_FRAMES[text[start]])
                yield Mark(start, place, stack, faults, loose)
            elif (
                code and group == "close" and len(stack) > 1 and stack[-2].kind == BRACKET
                and stack[-1] == _CLOSED_FRAMES[text[start]]
            ):  # fmt: skip
                stack = stack[:-1]
                yield Mark(start, place, stack, faults, loose)
            else:
                stack, more, prose = self._step(stack, found)
                if not prose:
                    faults += more
                elif not free[0] <= start < free[1]:
                    loose += more
                if stack is not before or more:
                    yield Mark(start, place, stack, faults, loose)
                    search, code, bare = self._reader(stack, place < careful)
                elif start == place:
                    place += 1
            if not bare and place >= careful:
                search, code, bare = self._reader(stack, False)

    def _reader(self, stack: Stack, careful: bool) -> tuple[Callable[..., Any], bool, bool]:
        """What finds the next token, whether brackets here are those of code, and whether whole
        strings and comments are passed over."""
        mode = _mode(stack)
        code = not self._in_prose(mode)
        broken = code and any(frame.kind == INSIDE for frame in stack)
        pattern = _pattern(self.family, None if code else mode, broken, careful)
        return pattern.search, code, not careful

    def _in_prose(self, mode: Frame | None) -> bool:
        if mode is None:
            return self.family.markup in ("html", "xml")
        return mode.kind not in (BRACKET, INSIDE)

    def _step(self, stack: Stack, found: re.Match[str]) -> tuple[Stack, int, bool]:
        """What is open behind a token, its faults, and whether they are prose's."""
        group, token, mode = found.lastgroup or "", found.group(), _mode(stack)
        if group == "open":
            kind = PROSE if self._in_prose(mode) else BRACKET
            return (*stack, Frame(kind, PAIRS[token])), 0, False
        if group == "close":
            return self._closed(stack, mode, token)
        if group == "quote":
            quote = self._quote(mode, token)
            return (*stack, Frame(STRING, quote.closer, quote)), 0, False
        if group == "inside":
            tagged = mode is None or mode.quote is None or mode.quote.lines
            closer = PAIRS[token.replace("$", "")[-1]]
            return (*stack, Frame(BRACKET if tagged else INSIDE, closer)), 0, False
        if group in ("line", "block"):
            closer = "\n" if group == "line" else dict(self.family.blocks)[token]
            return (*stack, Frame(LINE if group == "line" else BLOCK, closer)), 0, False
        if group in ("end", "torn"):
            return _without(stack, mode), int(group == "torn"), False
        if group == "broken":  # the line ends in code that stands in a string of one line
            number = next(i for i, frame in enumerate(stack) if frame.kind == INSIDE)
            return stack[: number - 1], 1, False
        return self._tag(stack, mode, group, token)

    def _closed(self, stack: Stack, mode: Frame | None, token: str) -> tuple[Stack, int, bool]:
        prose = self._in_prose(mode)
        kinds = (PROSE,) if prose else (PROSE, BRACKET, INSIDE)
        number = len(stack)
        while number and stack[number - 1].kind in kinds:
            number -= 1
            if stack[number].closer == token:
                return stack[:number], len(stack) - 1 - number, prose or self.family.prose
        return stack, 1, prose or self.family.prose

    def _tag(
        self, stack: Stack, mode: Frame | None, group: str, token: str
    ) -> tuple[Stack, int, bool]:
        html = self.family.markup == "html"
        if group == "begin":
            return (*stack, Frame(TAG, token.strip()[1:])), 0, False
        if group == "gt" and mode is not None:
            name, outer = mode.closer, _without(stack, mode)
            if token == "/>" or (html and name.lower() in VOID):
                return outer, 0, False
            return (*outer, Frame(ELEMENT, name.lower() if html else name)), 0, False
        if group != "away":
            return stack, 0, False  # what is skipped
        name = token[2:-1].strip()
        name = name.lower() if html else name
        number, torn = len(stack), 0
        while number and stack[number - 1].kind in (ELEMENT, PROSE):
            number -= 1
            frame = stack[number]
            if frame.kind == ELEMENT and frame.closer == name:
                return stack[:number], torn, False
            torn += not _may_stay(self.family, frame)
        return stack, 1, False

    def _quote(self, mode: Frame | None, token: str) -> Quote:
        if mode is not None and mode.kind == TAG:
            return Quote(token, lines=True, escapes=False)
        family = self.family
        bare = token.lstrip("rRbBuUfFtT") if family.prefixed else token
        found = next(quote for quote in family.quotes if (quote.opener or quote.closer) == bare)
        formatted = family.prefixed and set("fFtT") & set(token)
        return found._replace(inside="{") if formatted else found

    def unclosed(self, stack: Stack) -> int:
        """How much of what is open should be closed."""
        return sum(f.kind != LINE and not _may_stay(self.family, f) for f in stack)


def _may_stay(family: Notation, frame: Frame) -> bool:
    """Whether it need not be closed: an HTML paragraph, a bracket in a text."""
    if frame.kind == ELEMENT:
        return family.markup == "html" and frame.closer in OPTIONAL
    return False


def _mode(stack: Stack) -> Frame | None:
    """The frame that says how to read on."""
    return next((frame for frame in reversed(stack) if frame.kind != PROSE), None)


def _without(stack: Stack, mode: Frame | None) -> Stack:
    """``stack`` up to the frame of its mode, which is closed."""
    number = len(stack) - 1
    while number and stack[number] is not mode:
        number -= 1
    return stack[:number]


_BRACKETS = r"(?P<open>[(\[{])|(?P<close>[)\]}])"


@cache
def _pattern(family: Notation, mode: Frame | None, broken: bool, careful: bool) -> re.Pattern[str]:
    """The tokens that matter where ``mode`` is open; the name of the group says which kind one is.

    :param broken: a line end closes what is open, up to the string.
    :param careful: for the other two see :meth:`Lexer.marks`.
    """
    kind = mode.kind if mode is not None else ""
    if mode is not None and mode.quote is not None:
        parts = _string_parts(mode.quote)
    elif mode is not None and kind in (LINE, BLOCK):
        parts = [f"(?P<end>{re.escape(mode.closer)})", _BRACKETS]
    elif kind == TAG:
        parts = [r"(?P<gt>/?>)", r"(?P<quote>[\"'])"]
        parts += [r"(?P<inside>\{)"] if family.markup == "jsx" else []
    elif mode is not None and kind == ELEMENT and mode.closer in RAW and family.markup == "html":
        parts = [rf"(?P<away></{mode.closer}\s*>)", _BRACKETS]
    elif kind == ELEMENT or family.markup in ("html", "xml"):
        parts = _markup_parts(family)
    else:
        parts = _code_parts(family, careful) + ([r"(?P<broken>\n)"] if broken else [])
    return re.compile("|".join(parts))


def _string_parts(quote: Quote) -> list[str]:
    parts = [r"(?P<skip>\{\{|\}\})"] if quote.inside == "{" else []
    parts += [f"(?P<inside>{re.escape(quote.inside)})"] if quote.inside else []
    parts += [r"(?P<escape>\\[\s\S])"] if quote.escapes else []
    parts.append(f"(?P<end>{re.escape(quote.closer)})")
    return [*parts, *([] if quote.lines else [r"(?P<torn>(?=\n))"]), _BRACKETS]


def _whole_string(quote: Quote) -> str:
    """A string in which nothing is open."""
    begin, end = re.escape(quote.opener or quote.closer), re.escape(quote.closer)
    line = "" if quote.lines else "\n"
    return rf"{begin}[^{quote.closer[0]}\\{line}()\[\]{{}}$#]*{end}(?!{quote.closer[0]})"


def _markup_parts(family: Notation) -> list[str]:
    blocks = "|".join(re.escape(begin) for begin, _ in family.blocks if begin[0] == "<")
    parts = [f"(?P<block>{blocks})"] if blocks else []
    if family.markup == "jsx":
        return [*parts, r"(?P<away></[\w:.-]*\s*>)", r"(?P<begin><[\w:.-]*)", r"(?P<inside>\{)"]
    return [*parts, r"(?P<away></[\w:.-]+\s*>)", r"(?P<begin><[A-Za-z][\w:.-]*)", _BRACKETS]


def _code_parts(family: Notation, careful: bool) -> list[str]:
    skipped = [family.skip] if family.skip else []
    if not careful:
        skipped += [_whole_string(quote) for quote in family.quotes]
        skipped += [rf"{re.escape(begin)}[^\n()\[\]{{}}]*\n" for begin in family.comments]
    parts = [f"(?P<skip>{'|'.join(skipped)})"] if skipped else []
    if family.blocks:
        parts.append(f"(?P<block>{'|'.join(re.escape(begin) for begin, _ in family.blocks)})")
    if family.comments:
        parts.append(f"(?P<line>{'|'.join(map(re.escape, family.comments))})")
    if family.quotes:
        begin = r"(?:\b[rRbBuUfFtT]{1,2})?" if family.prefixed else ""
        quotes = "|".join(re.escape(each.opener or each.closer) for each in family.quotes)
        parts.append(f"(?P<quote>{begin}(?:{quotes}))")
    if family.markup == "jsx":
        parts.append(
            r"(?P<begin>(?:(?<=[(,=?:&|{}\[>;\n])\s*|(?<=return)\s+)<(?=[A-Za-z>])[\w:.-]*)"
        )
    return [*parts, _BRACKETS]
