"""Prompt look-up decoding: what followed the last tokens before may follow them again. Pure."""

from __future__ import annotations

from collections.abc import Sequence

# A guess needs so many tokens in common, and looks at so many places and so far back.
SHORTEST_MATCH = 2
LONGEST_MATCH = 12
MAX_PLACES = 32
# With the token before it a guess makes eight rows, the most that int8 weights are read for.
MAX_GUESS = 7
FIRST_GUESS = 3
_BREAK = -1  # no token: a guess does not go on from one text into the next


class PromptLookup:
    """Guesses tokens from a text (Saxena 2023, "Prompt Lookup Decoding"; the same idea is the
    reference drafting of Yang et al. 2023, "Inference with Reference").

    Of all places where the last tokens stood before, the one that agrees with most of them counts,
    of equals the last. How much is guessed (``limit``) follows from how good the guesses were.
    """

    def __init__(self, source: Sequence[int], prompt: Sequence[int] = ()) -> None:
        """:param source: where to look.
        :param prompt: what is continued, where it is not ``source`` itself; only its end counts.
        """
        self._ids: list[int] = []
        self._places: dict[tuple[int, ...], list[int]] = {}
        self.limit = FIRST_GUESS
        self.extend([*source, _BREAK, *prompt[-LONGEST_MATCH:]] if prompt else source)

    def extend(self, ids: Sequence[int]) -> None:
        """Note what was written since."""
        for token in ids:
            self._ids.append(token)
            key = tuple(self._ids[-SHORTEST_MATCH:])
            if len(key) == SHORTEST_MATCH:
                self._places.setdefault(key, []).append(len(self._ids))

    def guess(self, most: int = MAX_GUESS) -> list[int]:
        """Up to ``most`` tokens that may come next."""
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
        found = ids[best : best + min(most, self.limit, 2 * longest)]
        return found[: found.index(_BREAK)] if _BREAK in found else found

    def learn(self, guessed: int, right: int) -> None:
        """Be told how many of ``guessed`` tokens were right."""
        if right == guessed:
            self.limit = min(MAX_GUESS, self.limit * 2)
        elif not right:
            self.limit = max(2, self.limit // 2)
