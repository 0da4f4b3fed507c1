"""Copies from what stands around: the model's next token mixed with what followed the last tokens
elsewhere, in the rest of the file and in other files' snippets for which the prompt has no room.

A cache language model (Kuhn & De Mori 1990, "A cache-based natural language model"; for source
code Hellendoorn & Devanbu 2017, "Are deep neural networks the best choice for modeling source
code?"), with matches as long as there are, as in infini-gram (Liu et al. 2024, arXiv 2401.17377).
How far it is trusted follows from a few weights that bench/seed/copy_weights.py fits for one model; a
model whose folder has none is left as it is.

Where a completion ends is never copied. The same weights say by how much the model ends too seldom
or too often behind prompts as they are served, and when the rest of a line is enough: the most
likely next token is not the way to the most likely whole answer, since many ways go on behind a line
end and one ends there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from git_copilot.assistant.decoding.copy_weights import LONGEST, CopyWeights
from git_copilot.assistant.decoding.prompt_lookup import SHORTEST_MATCH
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.assistant.postprocess.completion_scope import CompletionScope
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from git_copilot.assistant.decoding.generation import CopyContext

Places = npt.NDArray[Any]
# A shorter text than this is looked through.
BEFORE_CHARACTERS, AFTER_CHARACTERS = 64 * 1024, 32 * 1024
# Enough text before the cursor for LONGEST tokens.
_CONTEXT = 2048
_MAX_KEPT, _MAX_WORDS = 100_000, 1000
# A line with the line ends before it: as a tokenizer of code cuts text, so that a line has the
# same tokens wherever it stands, and is encoded once.
_UNIT = re.compile(r"\n+[^\n]*|[^\n]+")
# A word that is begun, the space before it included, and the most tokens that it may have by then.
_WORD = re.compile(r" ?\w+")
_PARTS = 3
_BREAK = -1  # no token: nothing goes on from one text into the next


@dataclass(frozen=True, slots=True)
class Match:
    """What followed the last ``length`` tokens elsewhere: distinct tokens, their shares, and for
    each the tokens that it begins (itself, or the rest of a word) and the place behind them."""

    length: int
    tokens: list[int]
    shares: list[float]
    runs: list[list[int]]
    places: list[int]


class CopyModel:
    """Encodes text, every line of it once, and mixes for one model."""

    def __init__(
        self, tokenizer: TextTokenizer, weights: CopyWeights, spellings: PrefixIndex
    ) -> None:
        self.tokenizer, self.weights, self.spellings = tokenizer, weights, spellings
        self.ends = sorted(tokenizer.end_ids)
        self._line_ends: list[int] = []
        self._begin_line: frozenset[int] = frozenset()
        self._lines: dict[str, bytes] = {}
        self._longer: dict[str, Places] = {}

    def encode(self, text: str) -> bytes:
        """The tokens of ``text`` as int32."""
        if len(self._lines) > _MAX_KEPT:
            self._lines.clear()
        found = []
        for unit in _UNIT.findall(text):
            ids = self._lines.get(unit)
            if ids is None:
                ids = np.array(self.tokenizer.encode(unit), np.int32).tobytes()
                self._lines[unit] = ids
            found.append(ids)
        return b"".join(found)

    def longer(self, begun: str) -> Places:
        """The tokens that begin with ``begun`` and go on."""
        if begun not in self._longer:
            if len(self._longer) > _MAX_WORDS:
                self._longer.clear()
            self._longer[begun] = np.array(self.spellings.longer(begun), np.int32)
        return self._longer[begun]

    @property
    def line_ends(self) -> list[int]:
        """The tokens that end the line before them."""
        if not self._line_ends:
            self._line_ends = self.spellings.beginning("\n")
            self._begin_line = frozenset(self._line_ends)
        return self._line_ends

    def begins_line(self, token: int) -> bool:
        """Whether the token ends the line before it."""
        return bool(self.line_ends) and token in self._begin_line


class CopySource:
    """The text around one cursor."""

    def __init__(self, copier: CopyModel, around: CopyContext, lead: str = "") -> None:
        """:param lead: text before the cursor that is written anew (token healing)."""
        self._copier = copier
        # What the prompt shows the model copies by itself, and better: what stands right behind
        # the cursor, say, is what it need not write.
        before, behind = around.shown
        far = around.prefix[: len(around.prefix) - before]
        prefix, suffix = far[-BEFORE_CHARACTERS:], around.suffix[behind:][:AFTER_CHARACTERS]
        if len(prefix) < len(far):
            prefix = prefix[prefix.find("\n") + 1 :]
        # The nearest text comes last: of several places with the same token it is the one named.
        texts = [(path, f"\n{text}") for path, text in reversed(around.nearby)]
        texts += [(around.path, suffix), (around.path, prefix)]
        stop = np.array([_BREAK], np.int32).tobytes()
        parts = [copier.encode(text) + stop for _, text in texts]
        self._ids = np.frombuffer(b"".join([*parts, stop]), np.int32)
        self._ends = np.cumsum([len(part) // 4 for part in parts])
        self._paths = [path for path, _ in texts]
        self._closed = around.suffix.startswith("\n")
        extent = CompletionScope(around.prefix, around.suffix.partition("\n")[0])
        self._asks_block, self._inside = extent.block, extent.inside
        self._lead = len(lead)
        *whole, self._line = _UNIT.findall(around.prefix[-_CONTEXT:].removesuffix(lead)) or [""]
        near = np.frombuffer(copier.encode("".join(whole)), np.int32).tolist()
        self._before: list[int] = near[-LONGEST:]
        self._last: Match | None = None
        self._asked: str | None = None

    def mix(self, logits: torch.Tensor, written: str) -> torch.Tensor:
        """Logits (vocabulary,) of what comes behind ``written``: the model's own but for the end
        tokens where nothing can be copied. These are made likelier only where something is written:
        nothing that was measured speaks for an empty answer."""
        match, ends = self.match(written), self._copier.ends
        if self._copier.weights.ending and written[self._lead :].strip():
            logits = logits.clone()
            logits[ends] += self._copier.weights.ending
        if match is None:
            return logits
        chances = torch.softmax(logits.float(), dim=-1)
        tokens = match.tokens
        sure, ending = float(chances.max()), chances[ends]
        shares = torch.tensor(match.shares, device=chances.device)
        agreed = float((shares * chances[tokens]).sum())
        trust = self._copier.weights.trust(match.length, max(match.shares), sure, agreed)
        mixed = chances * (1 - trust)
        mixed[tokens] += trust * (1 - ending.sum()) * shares
        mixed[ends] = ending
        return mixed.log_()

    def ends_line(self, token: int, logits: torch.Tensor, written: str) -> bool:
        """Whether the answer should end where ``token``, chosen from mixed ``logits`` behind
        ``written``, would begin another line: see ``line_end`` of the weights."""
        margin = self._copier.weights.line_end
        return margin is not None and self.asks_end(token, written) and self.margin(logits) < margin

    def asks_end(self, token: int, written: str) -> bool:
        """Whether ``written`` is the rest of a line, which was asked for, and ``token`` begins
        another."""
        new = written[self._lead :]
        if self._asks_block or "\n" in new or not new.strip():
            return False
        return self._copier.begins_line(token)

    @property
    def reward(self) -> float | None:
        """The reward of each token of the rest of a line, where that is asked for and begins at
        the cursor: see best_first_search.py."""
        return None if self._asks_block or self._lead else self._copier.weights.token_reward

    @property
    def leaving(self) -> list[int]:
        """The tokens behind which nothing more stands on this line."""
        return [*self._copier.line_ends, *self._copier.ends]

    @property
    def finishing(self) -> list[int]:
        """Those of them behind which the rest of the line is whole."""
        return self._copier.ends if self._inside else self.leaving

    def margin(self, logits: torch.Tensor) -> float:
        """By how many nats mixed ``logits`` make another line more likely than the end."""
        going_on, end = (
            float(torch.logsumexp(logits[ids].float(), dim=0))
            for ids in (self._copier.line_ends, self._copier.ends)
        )
        return going_on - end

    def match(self, written: str) -> Match | None:
        """The longest run of the last tokens that stands elsewhere, and what followed it."""
        if written != self._asked:
            self._asked, self._last = written, self._find(written)
        return self._last

    def follow(self, written: str, most: int) -> list[int]:
        """Up to ``most`` tokens that may come behind ``written``: what followed most often."""
        match = self.match(written)
        if match is None or match.length < SHORTEST_MATCH:
            return []
        best = max(range(len(match.shares)), key=match.shares.__getitem__)
        place = match.places[best]
        length = min(most, 2 * match.length)
        found = [*match.runs[best], *self._ids[place : place + length].tolist()][:length]
        for end, token in enumerate(found):
            if token == _BREAK or (self._closed and self._copier.begins_line(token)):
                return found[:end]
        return found

    def _find(self, written: str) -> Match | None:
        history = self._history(written)
        if not history:
            return None
        places, length = self._longest(history, np.flatnonzero(self._ids == history[-1]) + 1)
        begun = self._begun(history, length)
        if begun is not None:
            return begun
        tokens, first, counts = np.unique(
            self._ids[places[::-1]], return_index=True, return_counts=True
        )
        places = places[::-1][first] + 1
        if self._closed:
            # The model decides where to end: no line end is copied where one follows the cursor.
            inside = [not self._copier.begins_line(token) for token in tokens.tolist()]
            tokens, places, counts = tokens[inside], places[inside], counts[inside]
        if not len(tokens):
            return None
        found: list[int] = tokens.tolist()
        shares = (counts / counts.sum()).tolist()
        return Match(length, found, shares, [[token] for token in found], places.tolist())

    def _longest(self, history: list[int], places: Places) -> tuple[Places, int]:
        """Of places behind the last token, those where most of ``history`` stands before, and how
        many tokens do."""
        ids = self._ids
        places = places[ids[places] != _BREAK]
        length = min(len(places), 1)
        while length and length < min(LONGEST, len(history)):
            more = places[places > length]
            more = more[ids[more - 1 - length] == history[-1 - length]]
            if not len(more):
                break
            places, length = more, length + 1
        return places, length

    def _begun(self, history: list[int], known: int) -> Match | None:
        """The same for a word that is only begun at the cursor and stands elsewhere as one token,
        where more than ``known`` tokens match in that way."""
        best: tuple[int, int, Places] | None = None
        for count in range(1, min(_PARTS, len(history) - 1) + 1):
            if not _WORD.fullmatch(self._copier.tokenizer.decode(history[-count:])):
                break
            before = history[:-count]
            places = np.flatnonzero(self._ids == before[-1]) + 1
            longer = self._copier.longer(self._copier.tokenizer.decode(history[-count:]))
            places, length = self._longest(before, places[np.isin(self._ids[places], longer)])
            if length and length + count > known:
                best, known = (count, length, places), length + count
        return self._rests(history[-best[0] :], known, best[2]) if best else None

    def _rests(self, begun: list[int], length: int, places: Places) -> Match:
        """A match of words that go on from ``begun``."""
        size = len(self._copier.tokenizer.decode(begun))
        runs: dict[int, tuple[int, list[int], int]] = {}
        for place in places[::-1].tolist():
            word = self._copier.tokenizer.decode([int(self._ids[place])])
            run = self._copier.tokenizer.encode(word[size:])
            count, first, behind = runs.get(run[0], (0, run, place + 1))
            runs[run[0]] = (count + 1, first, behind)
        total = sum(count for count, _, _ in runs.values())
        return Match(
            length,
            list(runs),
            [count / total for count, _, _ in runs.values()],
            [run for _, run, _ in runs.values()],
            [place for _, _, place in runs.values()],
        )

    def _history(self, written: str) -> list[int]:
        """The last tokens, cut as those that they are compared with: a word that is half written
        has other tokens than the whole word."""
        found = list[int]()
        for unit in _UNIT.findall(self._line + written):
            found += self._copier.tokenizer.encode(unit)
        return (self._before + found)[-LONGEST:]

    def origin(self, token: int) -> str:
        """Where the token that was written last could be copied from: a path, or nothing."""
        match = self._last
        if match is None or token not in match.tokens:
            return ""
        place = match.places[match.tokens.index(token)] - 1
        return self._paths[int(np.searchsorted(self._ends, place, side="right"))]
