"""The copy model: the model's next token mixed with what followed the last tokens elsewhere, in the
rest of the file and in other files' snippets for which the prompt has no room (copy_source.py).

A cache language model (Kuhn & De Mori 1990, "A cache-based natural language model"; for source code
Hellendoorn & Devanbu 2017, "Are deep neural networks the best choice for modeling source code?"),
with unbounded matches as in infini-gram (Liu et al. 2024, arXiv 2401.17377). A few weights that
bench/seed/copy_weights.py fits for one model say how far it is trusted (copy_weights.py); a model
whose folder has none is left as it is.

The end of a completion is never copied. The same weights correct for a model that ends too rarely
or too often behind prompts as they are served, and say when the rest of a line is complete: the
most likely next token does not lead to the most likely answer, since newline continuations split
their probability and the end does not.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from git_copilot.assistant.decoding.copy_weights import CopyWeights
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

Positions = npt.NDArray[Any]  # one-dimensional: places in a text, or token ids
_MAX_LINES, _MAX_WORDS = 100_000, 1000
# A line with the line ends before it: as a tokenizer of code cuts text, so that a line has the
# same tokens wherever it stands, and is encoded once.
LINE = re.compile(r"\n+[^\n]*|[^\n]+")


class CopyModel:
    """Encodes text, each line once, and holds one model's copy weights."""

    def __init__(
        self, tokenizer: TextTokenizer, weights: CopyWeights, prefix_index: PrefixIndex
    ) -> None:
        self.tokenizer, self.weights, self.prefix_index = tokenizer, weights, prefix_index
        self.end_ids = sorted(tokenizer.end_ids)
        self._newline_ids: list[int] = []
        self._newline_set: frozenset[int] = frozenset()
        self._encoded_lines: dict[str, bytes] = {}
        self._extending: dict[str, Positions] = {}

    def encode(self, text: str) -> bytes:
        """The tokens of ``text`` as int32."""
        if len(self._encoded_lines) > _MAX_LINES:
            self._encoded_lines.clear()
        found = []
        for line in LINE.findall(text):
            ids = self._encoded_lines.get(line)
            if ids is None:
                ids = np.array(self.tokenizer.encode(line), np.int32).tobytes()
                self._encoded_lines[line] = ids
            found.append(ids)
        return b"".join(found)

    def extending(self, text: str) -> Positions:
        """The tokens that begin with ``text`` and are longer."""
        if text not in self._extending:
            if len(self._extending) > _MAX_WORDS:
                self._extending.clear()
            self._extending[text] = np.array(self.prefix_index.extending(text), np.int32)
        return self._extending[text]

    @property
    def newline_ids(self) -> list[int]:
        """The tokens that begin with a line end."""
        if not self._newline_ids:
            self._newline_ids = self.prefix_index.starting_with("\n")
            self._newline_set = frozenset(self._newline_ids)
        return self._newline_ids

    def starts_line(self, token: int) -> bool:
        """Whether the token begins with a line end."""
        return bool(self.newline_ids) and token in self._newline_set
