"""The file that is being edited as chunks to search: what of it a prompt does not show anyway."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from git_copilot.index.search.overlay import Overlay, UncommittedFile, chunk_uncommitted

# A longer text is not parsed at every request.
MAX_CHARACTERS = 400_000


@dataclass(frozen=True, slots=True)
class EditedFile:
    """A text cut at the cursor. ``before`` and ``after`` are the characters on each side of the
    cursor that a prompt shows in any case."""

    path: str
    prefix: str
    suffix: str
    before: int
    after: int

    @property
    def visible(self) -> tuple[int, int]:
        """The first and the last line (1-based) that are shown at least in part."""
        hidden = self.prefix[: max(0, len(self.prefix) - self.before)]
        first = hidden.count("\n") + 1
        shown = self.suffix[: self.after]
        last = self.prefix.count("\n") + shown.count("\n") + 1
        return first, last

    @property
    def visible_lines(self) -> frozenset[str]:
        """The texts of these lines, without white space around them."""
        first = len(self.prefix) - self.before
        begin = 0 if first <= 0 else self.prefix.rfind("\n", 0, first) + 1
        end = self.suffix.find("\n", self.after)
        text = self.prefix[begin:] + (self.suffix if end < 0 else self.suffix[:end])
        return frozenset(line.strip() for line in text.split("\n"))

    def added_to(
        self, overlay: Overlay, object_format: str = "sha1", allowed: frozenset[str] = frozenset()
    ) -> Overlay:
        """``overlay`` with the chunks of this file that a prompt does not show.

        :param object_format: see :func:`~git_copilot.index.search.overlay.chunk_uncommitted`, like
            ``allowed``.
        """
        first, last = self.visible
        size = len(self.prefix) + len(self.suffix)
        short = first == 1 and self.suffix.count("\n") == last - self.prefix.count("\n") - 1
        files = dict(overlay.files)
        files[self.path] = None
        if not short and size <= MAX_CHARACTERS:
            # The cursor's line is left out, so that nothing is parsed again while it is typed.
            above = self.prefix[: self.prefix.rfind("\n") + 1]
            below = self.suffix.partition("\n")[2]
            whole = _chunked(self.path, above, below, object_format, allowed)
            kept = [
                i for i, c in enumerate(whole.chunks) if c.end_line < first or c.start_line > last
            ]
            files[self.path] = replace(
                whole,
                chunks=tuple(whole.chunks[i] for i in kept),
                words=tuple(whole.words[i] for i in kept),
            )
        return Overlay(files)


@lru_cache(maxsize=4)
def _chunked(
    path: str, above: str, below: str, object_format: str, allowed: frozenset[str]
) -> UncommittedFile:
    data = f"{above}\n{below}".encode("utf-8", "surrogateescape")
    return chunk_uncommitted(path, data, object_format, allowed)
