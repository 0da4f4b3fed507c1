"""A tokenizer for models whose vocabulary is not installed: pieces of about a token's size."""

from __future__ import annotations

import re

from git_copilot.assistant.prompt.fim import FORMATS, FimFormat

# About as long as tokens of code, or a little shorter, so that a budget is rarely exceeded.
_PIECE = re.compile(r"\w{1,4}|\n|[^\S\n]{1,8}|[^\w\s]{1,2}")
# Control tokens that begin with SentencePiece's space are written with one, as in Code Llama's
# own `<PRE> {prefix} <SUF>{suffix} <MID>`.
_WRITTEN = {"▁<PRE>": "<PRE> ", "▁<SUF>": " <SUF>", "▁<MID>": " <MID>"}
_CONTROLS = re.compile(
    "|".join(
        sorted(
            {
                re.escape(text.replace("▁<", "<"))
                for fim in FORMATS
                for text in (*fim.controls, *fim.ends)
            },
            key=len,
            reverse=True,
        )
    )
)


class ApproximateTokenizer:
    """Ids for pieces of text, so that the prompt builder can count and cut.

    The server puts its own first token before a text, so ``begin_ids`` is empty. A control token in
    the user's text is split by a space, since the server would read it as one.
    """

    begin_ids: tuple[int, ...] = ()

    def __init__(self, fim: FimFormat | None) -> None:
        self.fim = fim
        self._pieces: list[str] = []
        self._ids: dict[str, int] = {}
        self._controls: set[int] = set()

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``; :meth:`decode` restores it, except for control tokens in it."""
        clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        split = _CONTROLS.sub(lambda match: f"{match[0][0]} {match[0][1:]}", clean)
        return [self._id(piece) for piece in _PIECE.findall(split)]

    def decode(self, ids: list[int]) -> str:
        """The text of ``ids`` without control tokens."""
        return "".join(self._pieces[i] for i in ids if i not in self._controls)

    def spell(self, ids: list[int]) -> str:
        """The text of ``ids`` with the control tokens written out, as the server reads it."""
        return "".join(self._pieces[i] for i in ids)

    def control(self, token: str) -> int:
        """The id of a control token."""
        found = self._id(_WRITTEN.get(token, token), f"control {token}")
        self._controls.add(found)
        return found

    def _id(self, piece: str, key: str = "") -> int:
        key = key or piece
        if key not in self._ids:
            self._ids[key] = len(self._pieces)
            self._pieces.append(piece)
        return self._ids[key]
