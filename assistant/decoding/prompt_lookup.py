"""Prompt look-up decoding: what followed the last tokens before may follow them again. Pure."""

from __future__ import annotations

from collections.abc import Sequence

# A draft needs this many tokens in common; at most this many places, this far back, are compared.
SHORTEST_MATCH = 2
LONGEST_MATCH = 12
MAX_PLACES = 32
# With the token before it a draft makes eight rows, the most that int8 weights are read for.
MAX_DRAFT = 7
FIRST_DRAFT = 3
_BREAK = -1  # no token: a draft does not continue from one text into the next


class PromptLookup:
    """Drafts tokens from a text (Saxena 2023, "Prompt Lookup Decoding"; the same idea is the
    reference drafting of Yang et al. 2023, "Inference with Reference").

    Of all places where the last tokens stood before, the one with the longest match counts, the
    last of equal ones. The length of a draft (``limit``) adapts to how good the drafts were.
    """

    def __init__(self, source: Sequence[int], prompt: Sequence[int] = ()) -> None:
        """:param source: ids to search.
        :param prompt: what is continued, where it is not ``source`` itself; only its end counts.
        """
        self._ids: list[int] = []
        self._places: dict[tuple[int, ...], list[int]] = {}
        self.limit = FIRST_DRAFT
        self.extend([*source, _BREAK, *prompt[-LONGEST_MATCH:]] if prompt else source)

    def extend(self, ids: Sequence[int]) -> None:
        """Append new tokens."""
        for token in ids:
            self._ids.append(token)
            key = tuple(self._ids[-SHORTEST_MATCH:])
            if len(key) == SHORTEST_MATCH:
                self._places.setdefault(key, []).append(len(self._ids))

    def draft(self, limit: int = MAX_DRAFT) -> list[int]:
        """Up to ``limit`` tokens that may come next."""
        ids, end = self._ids, len(self._ids)
        places = self._places.get(tuple(ids[-SHORTEST_MATCH:]), ())[:-1]
        best, longest = 0, 0
        for place in reversed(places[-MAX_PLACES:]):
            length = SHORTEST_MATCH
            while length < LONGEST_MATCH and ids[place - length - 1 : place - length] == [
                ids[end - length - 1]
            ]:
                length += 1
            if length > longest:
                best, longest = place, length
        if not longest:
            return []
        found = ids[best : best + min(limit, self.limit, 2 * longest)]
        return found[: found.index(_BREAK)] if _BREAK in found else found

    def adapt(self, drafted: int, accepted: int) -> None:
        """Adapt the length of drafts to how many of ``drafted`` tokens were accepted."""
        if accepted == drafted:
            self.limit = min(MAX_DRAFT, self.limit * 2)
        elif not accepted:
            self.limit = max(2, self.limit // 2)
