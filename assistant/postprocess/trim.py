"""Ends a completion where a person would: named rules, in order. Pure.

How far a text is trusted depends on who wrote it. A model that saw the text behind the cursor and
ended by itself knows where the hole ends: only what is provably wrong is taken off. A model that
was left to right, or that ran out of tokens, is cut by the place: one line or one block.

While lines arrive, in this order; the first rule that fires ends the text for good:

- ``secret``: a line that any later rule would keep looks like a secret;
- ``after_line``, ``after_block`` (left to right only): the place is filled;
- ``redefines``, ``leaves_block``: the function that the cursor is in begins anew, or is left
  before it has a statement;
- ``repeats_suffix``: the lines are those that stand behind the cursor anyway, or, where the file is
  whole without them, one of them is among the next eight;
- ``loops``: lines, or pieces of one, repeat themselves.

Where a model would rather end at once than write the first line that it wrote, and the file is whole
without a completion, there is none (``nothing``); none is written into an empty file
(``empty_file``).

Once the text has ended, each on what the one before left, until nothing changes:

- ``after_line``, ``after_block`` where it ended for want of tokens, and ``unfinished``: without
  its last line, which is not whole, unless that is all there is;
- ``repeats_suffix``, ``repeats_rest``: its end repeats the next lines, or the rest of the line;
- ``leaves_block``: its last lines are indented less than the text that follows can be;
- ``unbalanced``: it closes what the text behind it closes, or leaves something open;
- ``breaks_syntax``: it has syntax errors, and without its last lines or brackets there are none.

The first group never looks back, and but for pieces that repeat themselves at whole lines only, so
a text is the same whether its tokens come one by one or at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from git_copilot.assistant.postprocess.bracket_balance import BracketBalance
from git_copilot.assistant.postprocess.completion_scope import CompletionScope, open_brackets
from git_copilot.assistant.postprocess.enclosing import EnclosingDefinitions
from git_copilot.assistant.postprocess.repetition import (
    MIN_WORDY,
    SuffixRepetition,
    is_looping,
    loop_in_line,
    wordy,
)
from git_copilot.assistant.postprocess.secret_lines import SecretLines, offset
from git_copilot.assistant.postprocess.syntax import INDENTED, Surroundings
from git_copilot.index.text.classify import language_of

STOP, LENGTH = "stop", "length"
# The suffix's next line may be written by right; so many of its lines in a row are its own, or one
# with so many letters and digits (in 0.05% of HumanEval-Infilling's multi-line middles it is not).
SURE_LINES = 2
TELLING = 12
# Line ends at which a text with syntax errors is tried without what follows.
MAX_TRIES = 12
# Characters on each side of the cursor in which a line may have its like, though it repeats itself.
NEARBY = 4096
# What may be one too many at an end.
ENDINGS = ")]};,"


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The completion that is kept, and the name of the rule that cut it (``None``: none did)."""

    text: str
    rule: str | None


class Trimmer:
    """Knows the place of one completion. Each text of one place may be longer than the last."""

    def __init__(
        self, prefix: str, suffix: str, *, path: str = "", left_to_right: bool = False
    ) -> None:
        """:param path: of the file; its language says how a secret is written and what parses.
        :param left_to_right: the model was not shown ``suffix``."""
        self._line = prefix.rpartition("\n")[2]
        self._sides, self._path = (prefix, suffix), path
        self._rest = suffix.partition("\n")[0]
        self._secrets = SecretLines(prefix, self._rest, path)
        self._extent = CompletionScope(prefix, self._rest)
        self._empty_file = not (prefix + suffix).strip()
        self._repeats = SuffixRepetition(self._line, suffix)
        self._sure_lines = 1 if self._repeats.telling >= TELLING else SURE_LINES
        needs_body = language_of(path) in INDENTED
        self._enclosing = EnclosingDefinitions(prefix, needs_body=needs_body)
        self._left_to_right = left_to_right
        self._around = Surroundings(prefix, suffix, path)
        # Whole lines looked at so far, and the end that they showed.
        self._seen: list[str] = []
        self._end: tuple[int, str] | None = None
        self._nearby = prefix[-NEARBY:] + suffix[:NEARBY]

    @cached_property
    def whole(self) -> bool:
        """Whether the file is whole without a completion: it parses, or, without a grammar, all that
        is opened is closed."""
        return self._around.whole if self._around.judged else self._balance.whole

    @property
    def _needs_nothing(self) -> bool:
        """Whether the file is whole; but between an opener and its closer something is asked for."""
        return self.whole and not self._balance.empty_pair

    @cached_property
    def _balance(self) -> BracketBalance:
        return BracketBalance(*self._sides, self._path)

    @cached_property
    def _may_go_on(self) -> bool:
        """Whether a completion may leave a block open, for what is typed next. Not inside a line,
        and not behind one that was whole."""
        if self._extent.inside:
            return False
        return not self._line.strip() or not self.whole

    def finished(self, text: str) -> bool:
        """Whether more text cannot change what :meth:`trim` returns."""
        if self._empty_file:
            return True
        *whole, line = text.split("\n")
        return self._stop(whole) is not None or loop_in_line(line, self._nearby) is not None

    def trim(self, text: str, finish: str = STOP, *, empty_margin: float | None = None) -> Trimmed:
        """Apply all rules to a completion.

        :param finish: ``"stop"`` when the model ended it, ``"length"`` when tokens ran out.
        :param empty_margin: see :class:`~git_copilot.assistant.decoding.generation.Generation`.
        """
        if self._empty_file:
            return Trimmed("", "empty_file")
        if empty_margin is not None and empty_margin > 0 and text and self._needs_nothing:
            return Trimmed("", "nothing")
        end = self._stop(text.split("\n"))
        if end and end[0] >= len(text):
            end = None  # the last line fills the place: nothing was cut
        kept, rule = (text[: end[0]], end[1]) if end else (text, None)
        if not self._left_to_right and (rule == "loops" or (rule is None and finish == LENGTH)):
            kept, placed = self._by_place(kept)
            rule = rule or placed
        if end is None and rule is None and finish == LENGTH and "\n" in kept.strip("\n"):
            kept, rule = kept.rpartition("\n")[0], "unfinished"
        kept = self._bare(kept)
        before = None
        while kept != before:
            before = kept
            for change in (
                self._without_next_lines,
                self._without_rest,
                self._in_block,
                self._balanced,
                self._whole,
            ):
                kept, name = change(kept)
                rule = rule or name
            kept = self._bare(kept)
        return Trimmed(kept, rule)

    def _bare(self, text: str) -> str:
        """``text`` without white space at its end, unless the line goes on behind it."""
        if self._extent.block or not self._extent.inside or text.endswith("\n"):
            return text.rstrip()
        beside = self._rest[:1]
        return text.rstrip(" \t") if beside.isspace() or beside in ENDINGS else text

    def _stop(self, lines: list[str]) -> tuple[int, str] | None:
        """Where the text ends for good, and by which rule, as its lines show one after another."""
        if self._end is None or lines[: len(self._seen)] != self._seen:
            known = self._seen if lines[: len(self._seen)] == self._seen else []
            self._seen, self._end = list(known), None
            for line in lines[len(known) :]:
                self._seen.append(line)
                self._end = self._stops_here()
                if self._end:
                    break
        return self._end

    def _stops_here(self) -> tuple[int, str] | None:
        end = self._ends_here()
        secret = self._secrets.first("\n".join(self._seen))
        # Whatever else ends the text, what is kept of it has no secret in it.
        if secret is not None and (end is None or secret < end[0]):
            return secret, "secret"
        return end

    def _ends_here(self) -> tuple[int, str] | None:
        end, line = self._ends_lines(), self._seen[-1]
        piece = loop_in_line(line, self._nearby)
        if piece is not None:
            piece += offset(self._seen, len(self._seen)) - len(line)
            if end is None or piece < end[0]:
                return piece, "loops"
        return end

    def _ends_lines(self) -> tuple[int, str] | None:
        lines = self._seen
        if self._left_to_right:
            count = self._extent.end(lines)
            if count is not None:
                return offset(lines, count), self._place_rule
        left = self._enclosing.left(lines)
        if left is not None:
            return offset(lines, len(lines) - 1), left
        repeated = self._repeats.begins(lines, 1 if self._left_to_right else self._sure_lines)
        if repeated is not None and (self._left_to_right or self._is_clean(lines, repeated)):
            return repeated, "repeats_suffix"
        below = self._repeats.below(lines)
        if below is not None and not self._extent.inside and self.whole:
            return below, "repeats_suffix"
        kept = is_looping(lines, self._nearby)
        return None if kept is None else (offset(lines, kept), "loops")

    def _is_clean(self, lines: list[str], end: int) -> bool:
        """Whether the text up to ``end`` fits: overloads and tests repeat each other by right."""
        return not self._around.errors("\n".join(lines)[:end])

    @property
    def _place_rule(self) -> str:
        return "after_block" if self._extent.block else "after_line"

    def _by_place(self, text: str) -> tuple[str, str | None]:
        lines = text.split("\n")
        for number in range(1, len(lines) + 1):
            count = self._extent.end(lines[:number])
            if count is not None:
                kept = text[: offset(lines, count)]
                return kept, self._place_rule if len(kept) < len(text) else None
            repeated = self._repeats.begins(lines[:number], 1)
            if repeated is not None:
                return text[:repeated], "repeats_suffix"
        return text, None

    def _without_next_lines(self, text: str) -> tuple[str, str | None]:
        end = self._repeats.at_end(text)
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
        """Whether so much of the rest of the line cannot stand there twice by chance."""
        if size < len(self._rest.rstrip()) or wordy([self._rest]) < MIN_WORDY:
            return False
        return self._around.errors(shorter) <= self._around.errors(text)

    def _is_better(self, shorter: str, text: str) -> bool:
        if self._around.judged:
            return self._around.errors(shorter) < self._around.errors(text)
        return open_brackets(self._line + text + self._rest) < 0

    def _in_block(self, text: str) -> tuple[str, str | None]:
        end = self._around.behind_block(text)
        return (text[:end], "leaves_block") if end < len(text.rstrip()) else (text, None)

    def _balanced(self, text: str) -> tuple[str, str | None]:
        if self._may_go_on and self._balance.fits(self._completed(text)):
            return text, None
        end = self._balance.cut(text)
        return (text, None) if end == len(text) else (text[:end], "unbalanced")

    def _whole(self, text: str) -> tuple[str, str | None]:
        """Drop the least without which there is no syntax error; all, where there was none."""
        errors = self._around.errors(text)
        if not errors or (self.whole and self._may_go_on and self._goes_on(text)):
            return text, None
        tries = [text[:-size] for size in range(1, 1 + len(text) - len(text.rstrip(ENDINGS)))]
        ends = [i for i, char in enumerate(text) if char == "\n"]
        tries += [text[:end] for end in reversed(ends[-MAX_TRIES:])]
        best = min((t for t in tries if t.strip()), key=self._around.errors, default=text)
        if self._around.errors(best):
            # Nothing is proven: the error may be the file's, or the window's.
            return ("", "breaks_syntax") if self.whole else (text, None)
        return best, "breaks_syntax"

    def _completed(self, text: str) -> str:
        return self._balance.completed(text, strings=not self.whole)

    def _goes_on(self, text: str) -> bool:
        """Whether ``text`` is an error only because it is not finished: with a body, and its brackets
        closed, there is none."""
        closed = self._completed(text)
        if self._around.language in INDENTED and text.rstrip().endswith(":"):
            last = (self._line + text).rpartition("\n")[2]
            closed += "\n" + last[: len(last) - len(last.lstrip())] + "    pass"
        return closed != text and not self._around.errors(closed)
