"""Ends a completion where a person would: named rules, in order. Pure.

How far a text is trusted depends on its origin. A model that saw the text behind the cursor and
ended by itself knows where the hole ends: only what is provably wrong is removed. The text of a
left-to-right model, or of one that ran out of tokens, is cut to the scope: one line or one block.

While lines arrive, in this order; the first rule that fires ends the text for good:

- ``secret``: a line that the later rules would keep looks like a secret;
- ``after_line``, ``after_block`` (left to right only): the scope is complete;
- ``redefines``, ``leaves_block``: the text repeats the header of the enclosing function, or leaves
  it before it has a statement;
- ``repeats_suffix``: the lines are those behind the cursor, or, where the file is complete without
  them, one of them is among the next eight;
- ``loops``: lines, or parts of one, repeat themselves.

Where ending at once is likelier than the first line of the text, and the file is complete without
a completion, there is none (``nothing``); nor is there one for an empty file (``empty_file``).

Once the text has ended, each on the result of the one before, until nothing changes:

- ``after_line``, ``after_block`` where the tokens ran out, and ``unfinished``: drops the last line,
  which is incomplete, unless it is the only one;
- ``repeats_suffix``, ``repeats_rest``: the end repeats the next lines, or the rest of the line;
- ``leaves_block``: the last lines are indented less than the following text allows;
- ``unbalanced``: it closes what the text behind it closes, or leaves something open;
- ``breaks_syntax``: it has syntax errors, and without its last lines or brackets there are none.

The first group never revises a decision and, but for loops within a line, looks at whole lines only:
the result is the same for single tokens and for the whole text at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from git_copilot.assistant.postprocess.bracket_balance import MAX_LINE, BracketBalance
from git_copilot.assistant.postprocess.completion_scope import CompletionScope, open_brackets
from git_copilot.assistant.postprocess.enclosing import EnclosingDefinitions
from git_copilot.assistant.postprocess.repetition import (
    MIN_ALPHANUMERIC,
    SuffixRepetition,
    count_alphanumeric,
    loop_in_line,
    loop_start,
)
from git_copilot.assistant.postprocess.secret_lines import SecretLines, offset
from git_copilot.assistant.postprocess.syntax import INDENTED, Surroundings
from git_copilot.index.text.classify import language_of

STOP, LENGTH = "stop", "length"
# A line equal to the suffix's next one may be intended; this many are a repetition, or one with this
# many letters and digits (wrong in 0.05% of the multi-line middles of HumanEval-Infilling).
MIN_SUFFIX_LINES = 2
MIN_DISTINCTIVE = 12
MAX_TRIES = 12  # line ends at which a text with syntax errors is cut on trial
# Characters on each side of the cursor that may justify a line which repeats itself.
NEARBY = 4096
# Characters of which the end may have some too many.
ENDINGS, MAX_ENDINGS = ")]};,", 24


@dataclass(frozen=True, slots=True)
class TrimmedText:
    """The kept completion, and the name of the rule that cut it (``None``: none did)."""

    text: str
    rule: str | None


class Trimmer:
    """The rules at one cursor. Successive texts may each be longer than the last."""

    def __init__(
        self, prefix: str, suffix: str, *, path: str = "", left_to_right: bool = False
    ) -> None:
        """:param path: of the file; its language decides what a secret looks like and what parses.
        :param left_to_right: the model did not see ``suffix``."""
        self._line = prefix.rpartition("\n")[2][-MAX_LINE:]
        self._sides, self._path = (prefix, suffix), path
        self._rest = suffix.partition("\n")[0][:MAX_LINE]
        self._secrets = SecretLines(prefix, self._rest, path)
        self._scope = CompletionScope(prefix, self._rest)
        self._empty_file = not prefix.strip() and not suffix.strip()
        self._repeats = SuffixRepetition(self._line, suffix)
        self._min_suffix_lines = (
            1 if self._repeats.distinctive >= MIN_DISTINCTIVE else MIN_SUFFIX_LINES
        )
        self._enclosing = EnclosingDefinitions(prefix, needs_body=language_of(path) in INDENTED)
        self._left_to_right = left_to_right
        self._surroundings = Surroundings(prefix, suffix, path)
        # The whole lines so far, and the end that they determined.
        self._lines: list[str] = []
        self._end: tuple[int, str] | None = None
        self._nearby = prefix[-NEARBY:] + suffix[:NEARBY]

    @cached_property
    def whole(self) -> bool:
        """Whether the file is complete without a completion: it parses, or, without a grammar, is
        balanced."""
        return self._surroundings.whole if self._surroundings.judged else self._balance.balanced

    @property
    def _is_complete(self) -> bool:
        """Whether the file is complete; between an opener and its closer something is missing."""
        return self.whole and not self._balance.inside_empty_pair

    @cached_property
    def _balance(self) -> BracketBalance:
        return BracketBalance(*self._sides, self._path)

    @cached_property
    def _may_continue(self) -> bool:
        """Whether a completion may leave a block open for later typing: not inside a line, and not
        behind a complete one."""
        if self._scope.inside:
            return False
        return not self._line.strip() or not self.whole

    def finished(self, text: str) -> bool:
        """Whether more text cannot change the result of :meth:`trim`."""
        if self._empty_file:
            return True
        *whole, line = text.split("\n")
        return self._stop(whole) is not None or loop_in_line(line, self._nearby) is not None

    def trim(
        self, text: str, finish: str = STOP, *, empty_margin: float | None = None
    ) -> TrimmedText:
        """Apply all rules to a completion.

        :param finish: ``"stop"`` when the model ended it, ``"length"`` when tokens ran out.
        :param empty_margin: see :class:`~git_copilot.assistant.decoding.generation.Generation`.
        """
        if self._empty_file:
            return TrimmedText("", "empty_file")
        if empty_margin is not None and empty_margin > 0 and text and self._is_complete:
            return TrimmedText("", "nothing")
        end = self._stop(text.split("\n"))
        if end and end[0] >= len(text):
            end = None  # the last line completes the scope: nothing was cut
        kept, rule = (text[: end[0]], end[1]) if end else (text, None)
        if not self._left_to_right and (rule == "loops" or (rule is None and finish == LENGTH)):
            kept, scope_rule = self._cut_to_scope(kept)
            rule = rule or scope_rule
        if end is None and rule is None and finish == LENGTH and "\n" in kept.strip("\n"):
            kept, rule = kept.rpartition("\n")[0], "unfinished"
        kept = self._stripped(kept)
        before = None
        while kept != before:
            before = kept
            for change in (
                self._without_next_lines,
                self._without_rest,
                self._within_block,
                self._balanced,
                self._without_syntax_errors,
            ):
                kept, name = change(kept)
                rule = rule or name
            kept = self._stripped(kept)
        return TrimmedText(kept, rule)

    def _stripped(self, text: str) -> str:
        """``text`` without trailing white space, unless the line continues behind it."""
        if self._scope.block or not self._scope.inside or text.endswith("\n"):
            return text.rstrip()
        beside = self._rest[:1]
        return text.rstrip(" \t") if beside.isspace() or beside in ENDINGS else text

    def _stop(self, lines: list[str]) -> tuple[int, str] | None:
        """Where the text ends for good, and by which rule, judged line by line."""
        if self._end is None or lines[: len(self._lines)] != self._lines:
            known = self._lines if lines[: len(self._lines)] == self._lines else []
            self._lines, self._end = list(known), None
            for line in lines[len(known) :]:
                self._lines.append(line)
                self._end = self._stops_here()
                if self._end:
                    break
        return self._end

    def _stops_here(self) -> tuple[int, str] | None:
        end = self._ends_here()
        secret = self._secrets.first("\n".join(self._lines))
        # Whichever rule ends the text, the kept part must not contain a secret.
        if secret is not None and (end is None or secret < end[0]):
            return secret, "secret"
        return end

    def _ends_here(self) -> tuple[int, str] | None:
        end, line = self._ends_lines(), self._lines[-1]
        piece = loop_in_line(line, self._nearby)
        if piece is not None:
            piece += offset(self._lines, len(self._lines)) - len(line)
            if end is None or piece < end[0]:
                return piece, "loops"
        return end

    def _ends_lines(self) -> tuple[int, str] | None:
        lines = self._lines
        if self._left_to_right:
            count = self._scope.end(lines)
            if count is not None:
                return offset(lines, count), self._scope_rule
        left_rule = self._enclosing.left_rule(lines)
        if left_rule is not None:
            return offset(lines, len(lines) - 1), left_rule
        repeated = self._repeats.suffix_start(
            lines, 1 if self._left_to_right else self._min_suffix_lines
        )
        if repeated is not None and (self._left_to_right or self._is_clean(lines, repeated)):
            return repeated, "repeats_suffix"
        next_line_start = self._repeats.next_line_start(lines)
        if next_line_start is not None and not self._scope.inside and self.whole:
            return next_line_start, "repeats_suffix"
        kept = loop_start(lines, self._nearby)
        return None if kept is None else (offset(lines, kept), "loops")

    def _is_clean(self, lines: list[str], end: int) -> bool:
        """Whether the text up to ``end`` fits: overloads and tests may repeat each other."""
        return not self._surroundings.errors("\n".join(lines)[:end])

    @property
    def _scope_rule(self) -> str:
        return "after_block" if self._scope.block else "after_line"

    def _cut_to_scope(self, text: str) -> tuple[str, str | None]:
        lines = text.split("\n")
        for number in range(1, len(lines) + 1):
            count = self._scope.end(lines[:number])
            if count is not None:
                kept = text[: offset(lines, count)]
                return kept, self._scope_rule if len(kept) < len(text) else None
            repeated = self._repeats.suffix_start(lines[:number], 1)
            if repeated is not None:
                return text[:repeated], "repeats_suffix"
        return text, None

    def _without_next_lines(self, text: str) -> tuple[str, str | None]:
        end = self._repeats.suffix_at_end(text)
        return (text, None) if end is None else (text[:end], "repeats_suffix")

    def _without_rest(self, text: str) -> tuple[str, str | None]:
        """Drop an end that repeats the text right of the cursor."""
        rest = self._rest.rstrip()
        for size in range(min(len(text), len(rest)), 0, -1):
            if rest[:size].strip() and text.endswith(rest[:size]):
                shorter = text[: len(text) - size]
                if self._is_better(shorter, text) or self._is_copy(size, shorter, text):
                    return shorter, "repeats_rest"
        return text, None

    def _is_copy(self, size: int, shorter: str, text: str) -> bool:
        """Whether this much of the rest of the line is too long to be repeated by chance."""
        if size < len(self._rest.rstrip()) or count_alphanumeric([self._rest]) < MIN_ALPHANUMERIC:
            return False
        return self._surroundings.errors(shorter) <= self._surroundings.errors(text)

    def _is_better(self, shorter: str, text: str) -> bool:
        if self._surroundings.judged:
            return self._surroundings.errors(shorter) < self._surroundings.errors(text)
        return open_brackets(self._line + text + self._rest) < 0

    def _within_block(self, text: str) -> tuple[str, str | None]:
        end = self._surroundings.behind_block(text)
        return (text[:end], "leaves_block") if end < len(text.rstrip()) else (text, None)

    def _balanced(self, text: str) -> tuple[str, str | None]:
        if self._may_continue and self._balance.fits(self._completed(text)):
            return text, None
        end = self._balance.cut(text)
        return (text, None) if end == len(text) else (text[:end], "unbalanced")

    def _without_syntax_errors(self, text: str) -> tuple[str, str | None]:
        """Drop as little as removes the syntax errors; everything, where there were none before."""
        errors = self._surroundings.errors(text)
        if not errors or (self.whole and self._may_continue and self._continues(text)):
            return text, None
        surplus = min(len(text) - len(text.rstrip(ENDINGS)), MAX_ENDINGS)
        tries = [text[:-size] for size in range(1, surplus + 1)]
        ends = [i for i, char in enumerate(text) if char == "\n"]
        tries += [text[:end] for end in reversed(ends[-MAX_TRIES:])]
        best = min((t for t in tries if t.strip()), key=self._surroundings.errors, default=text)
        if self._surroundings.errors(best):
            # Not conclusive: the error may be in the file, or due to the window.
            return ("", "breaks_syntax") if self.whole else (text, None)
        return best, "breaks_syntax"

    def _completed(self, text: str) -> str:
        return self._balance.with_brackets_closed(text, strings=not self.whole)

    def _continues(self, text: str) -> bool:
        """Whether ``text`` is an error only for want of a body or closers."""
        closed = self._completed(text)
        if self._surroundings.language in INDENTED and text.rstrip().endswith(":"):
            last = (self._line + text).rpartition("\n")[2]
            closed += "\n" + last[: len(last) - len(last.lstrip())] + "    pass"
        return closed != text and not self._surroundings.errors(closed)
