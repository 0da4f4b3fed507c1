"""Finds what followed the last tokens elsewhere, and mixes it in: see copy_model.py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from git_copilot.assistant.decoding.copy_model import LINE, CopyModel, Positions
from git_copilot.assistant.decoding.copy_weights import LONGEST
from git_copilot.assistant.decoding.prompt_lookup import SHORTEST_MATCH
from git_copilot.assistant.postprocess.completion_scope import CompletionScope

if TYPE_CHECKING:
    from git_copilot.assistant.decoding.generation import CopyContext

# At most this much text on either side of the cursor is searched.
BEFORE_CHARACTERS, AFTER_CHARACTERS = 64 * 1024, 32 * 1024
# Enough text before the cursor for LONGEST tokens.
_RECENT_CHARACTERS = 2048
# A partial word, the space before it included, and the most tokens that it may have.
_WORD = re.compile(r" ?\w+")
_MAX_WORD_TOKENS = 3
_BREAK = -1  # no token: nothing continues from one text into the next


@dataclass(frozen=True, slots=True)
class Match:
    """What followed the last ``length`` tokens elsewhere: distinct tokens, their shares, and for
    each the tokens that it begins (itself, or the rest of a word) and the position after them."""

    length: int
    tokens: list[int]
    shares: list[float]
    runs: list[list[int]]
    positions: list[int]


class CopySource:
    """The text around one cursor that may be copied."""

    def __init__(self, model: CopyModel, context: CopyContext, forced_prefix: str = "") -> None:
        """:param forced_prefix: text before the cursor that is generated again (token healing)."""
        self._model = model
        # What the prompt shows, the model copies by itself, and better: the text right behind the
        # cursor, say, is what it need not write.
        before, behind = context.shown
        unseen = context.prefix[: len(context.prefix) - before]
        prefix, suffix = unseen[-BEFORE_CHARACTERS:], context.suffix[behind:][:AFTER_CHARACTERS]
        if len(prefix) < len(unseen):
            prefix = prefix[prefix.find("\n") + 1 :]
        # The nearest text comes last: of several places with the same token it is the origin.
        texts = [(path, f"\n{text}") for path, text in reversed(context.nearby)]
        texts += [(context.path, suffix), (context.path, prefix)]
        stop = np.array([_BREAK], np.int32).tobytes()
        parts = [model.encode(text) + stop for _, text in texts]
        self._ids = np.frombuffer(b"".join([*parts, stop]), np.int32)
        self._ends = np.cumsum([len(part) // 4 for part in parts])
        self._paths = [path for path, _ in texts]
        self._line_ends_here = context.suffix.startswith("\n")
        scope = CompletionScope(context.prefix, context.suffix.partition("\n")[0])
        self._wants_block, self._inside = scope.block, scope.inside
        self._forced_length = len(forced_prefix)
        self._members = context.members if model.weights.member else None
        *whole, self._line = LINE.findall(
            context.prefix[-_RECENT_CHARACTERS:].removesuffix(forced_prefix)
        ) or [""]
        near = np.frombuffer(model.encode("".join(whole)), np.int32).tolist()
        self._before: list[int] = near[-LONGEST:]
        self._last: Match | None = None
        self._last_written: str | None = None

    def mix(self, logits: torch.Tensor, written: str) -> torch.Tensor:
        """Logits (vocabulary,) of what comes behind ``written``; where nothing can be copied, the
        model's own but for the end tokens. These are made likelier only once something is written:
        no measurement speaks for an empty answer.

        :param logits: the model's (vocabulary,).
        """
        mixed = self._copied(logits, written)
        known = self._member_tokens(written)
        if known:
            mixed = mixed.clone() if mixed is logits else mixed
            mixed[known] += self._model.weights.member
        return mixed

    def _member_tokens(self, written: str) -> list[int]:
        """The tokens that continue the name of a known member behind ``written``."""
        new = written[self._forced_length :]
        late = (new and not new.isidentifier()) or len(written) < self._forced_length
        if self._members is None or late:
            return []
        begun = self._members.begun + new
        rests = [name[len(begun) :] for name in self._members.names if name.startswith(begun)]
        if "" in rests:  # whole already: whatever follows a name may follow
            return []
        return sorted({self._model.tokenizer.encode(rest)[0] for rest in rests})

    def _copied(self, logits: torch.Tensor, written: str) -> torch.Tensor:
        """``logits`` with what may be copied behind ``written``."""
        match, ends = self.match(written), self._model.end_ids
        if self._model.weights.ending and written[self._forced_length :].strip():
            logits = logits.clone()
            logits[ends] += self._model.weights.ending
        if match is None:
            return logits
        probabilities = torch.softmax(logits.float(), dim=-1)
        tokens = match.tokens
        confidence, ending = float(probabilities.max()), probabilities[ends]
        shares = torch.tensor(match.shares, device=probabilities.device)
        agreed = float((shares * probabilities[tokens]).sum())
        copied = self._model.weights.copied_part(
            match.length, max(match.shares), confidence, agreed
        )
        mixed = probabilities * (1 - copied)
        mixed[tokens] += copied * (1 - ending.sum()) * shares
        mixed[ends] = ending
        return mixed.log_()

    def ends_line(self, token: int, logits: torch.Tensor, written: str) -> bool:
        """Whether the answer should end where ``token``, chosen from mixed ``logits`` behind
        ``written``, would begin another line: see ``line_end`` of the weights."""
        margin = self._model.weights.line_end
        return (
            margin is not None
            and self.would_leave_line(token, written)
            and self.margin(logits) < margin
        )

    def would_leave_line(self, token: int, written: str) -> bool:
        """Whether ``written`` is the rest of a line, which was requested, and ``token`` begins
        another."""
        new = written[self._forced_length :]
        if self._wants_block or "\n" in new or not new.strip():
            return False
        return self._model.starts_line(token)

    @property
    def reward(self) -> float | None:
        """The reward of each token of the rest of a line, where that is requested and begins at
        the cursor: see best_first_search.py."""
        return None if self._wants_block else self.reward_of_first_line

    @property
    def reward_of_first_line(self) -> float | None:
        """The same where a block may be requested."""
        return None if self._forced_length else self._model.weights.token_reward

    @property
    def leaving_ids(self) -> list[int]:
        """The tokens after which nothing more stands on this line."""
        return [*self._model.newline_ids, *self._model.end_ids]

    @property
    def finishing_ids(self) -> list[int]:
        """Those of them after which the rest of the line is whole."""
        return self._model.end_ids if self._inside else self.leaving_ids

    def margin(self, logits: torch.Tensor) -> float:
        """By how many nats mixed ``logits`` make another line more likely than the end."""
        newline, end = (
            float(torch.logsumexp(logits[ids].float(), dim=0))
            for ids in (self._model.newline_ids, self._model.end_ids)
        )
        return newline - end

    def match(self, written: str) -> Match | None:
        """The longest run of last tokens that occurs elsewhere, and what followed it."""
        if written != self._last_written:
            self._last_written, self._last = written, self._find_match(written)
        return self._last

    def draft(self, written: str, limit: int) -> list[int]:
        """Up to ``limit`` tokens that may follow ``written``: what followed most often."""
        match = self.match(written)
        if match is None or match.length < SHORTEST_MATCH:
            return []
        best = max(range(len(match.shares)), key=match.shares.__getitem__)
        position = match.positions[best]
        length = min(limit, 2 * match.length)
        found = [*match.runs[best], *self._ids[position : position + length].tolist()][:length]
        for end, token in enumerate(found):
            if token == _BREAK or (self._line_ends_here and self._model.starts_line(token)):
                return found[:end]
        return found

    def _find_match(self, written: str) -> Match | None:
        history = self._history(written)
        if not history:
            return None
        positions, length = self._longest_match(
            history, np.flatnonzero(self._ids == history[-1]) + 1
        )
        partial = self._match_partial_word(history, length)
        if partial is not None:
            return partial
        tokens, first, counts = np.unique(
            self._ids[positions[::-1]], return_index=True, return_counts=True
        )
        positions = positions[::-1][first] + 1
        if self._line_ends_here:
            # The model decides where to end: no line end is copied where one follows the cursor.
            inside = [not self._model.starts_line(token) for token in tokens.tolist()]
            tokens, positions, counts = tokens[inside], positions[inside], counts[inside]
        if not len(tokens):
            return None
        found: list[int] = tokens.tolist()
        shares = (counts / counts.sum()).tolist()
        return Match(length, found, shares, [[token] for token in found], positions.tolist())

    def _longest_match(self, history: list[int], positions: Positions) -> tuple[Positions, int]:
        """Of positions after the last token, those with the longest part of ``history`` before
        them, and its length in tokens."""
        ids = self._ids
        positions = positions[ids[positions] != _BREAK]
        length = min(len(positions), 1)
        while length and length < min(LONGEST, len(history)):
            more = positions[positions > length]
            more = more[ids[more - 1 - length] == history[-1 - length]]
            if not len(more):
                break
            positions, length = more, length + 1
        return positions, length

    def _match_partial_word(self, history: list[int], min_length: int) -> Match | None:
        """The same for a partial word at the cursor that is one token elsewhere, where more than
        ``min_length`` tokens match in that way."""
        best: tuple[int, int, Positions] | None = None
        for count in range(1, min(_MAX_WORD_TOKENS, len(history) - 1) + 1):
            if not _WORD.fullmatch(self._model.tokenizer.decode(history[-count:])):
                break
            before = history[:-count]
            positions = np.flatnonzero(self._ids == before[-1]) + 1
            longer = self._model.extending(self._model.tokenizer.decode(history[-count:]))
            positions, length = self._longest_match(
                before, positions[np.isin(self._ids[positions], longer)]
            )
            if length and length + count > min_length:
                best, min_length = (count, length, positions), length + count
        return self._word_completions(history[-best[0] :], min_length, best[2]) if best else None

    def _word_completions(self, partial: list[int], length: int, positions: Positions) -> Match:
        """A match of words that begin with ``partial``, the tokens of a partial word."""
        size = len(self._model.tokenizer.decode(partial))
        runs: dict[int, tuple[int, list[int], int]] = {}
        for position in positions[::-1].tolist():
            word = self._model.tokenizer.decode([int(self._ids[position])])
            run = self._model.tokenizer.encode(word[size:])
            count, first, behind = runs.get(run[0], (0, run, position + 1))
            runs[run[0]] = (count + 1, first, behind)
        total = sum(count for count, _, _ in runs.values())
        return Match(
            length,
            list(runs),
            [count / total for count, _, _ in runs.values()],
            [run for _, run, _ in runs.values()],
            [position for _, _, position in runs.values()],
        )

    def _history(self, written: str) -> list[int]:
        """The last tokens, tokenized as those that they are compared with: a partial word has
        other tokens than the whole word."""
        found = list[int]()
        for line in LINE.findall(self._line + written):
            found += self._model.tokenizer.encode(line)
        return (self._before + found)[-LONGEST:]

    def origin(self, token: int) -> str:
        """The path from which the newest token could be copied; empty: from none."""
        match = self._last
        if match is None or token not in match.tokens:
            return ""
        position = match.positions[match.tokens.index(token)] - 1
        return self._paths[int(np.searchsorted(self._ends, position, side="right"))]
