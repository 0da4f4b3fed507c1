"""What one arm reached on all holes, as figures. Pure."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from git_copilot.assistant.evaluation.crystal_bleu import Ngram, crystal_bleu, shared_ngrams
from git_copilot.assistant.evaluation.hole_results import HoleResult
from git_copilot.assistant.evaluation.metrics import Interval, paired_interval

_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """Means over the holes. ``exact_match``, ``first_line`` (exact up to its line end),
    ``edit_similarity``, ``saved`` (characters that need not be typed, see :func:`saved_characters`, of
    all characters of the middles), ``overrun`` (holes where the completion writes what was written and goes on)
    and ``empty`` (holes without a completion) in %; ``crystal_bleu`` 0 to 100; ``bits_per_byte`` of
    the middles with their end tokens."""

    exact_match: float
    first_line: float
    edit_similarity: float
    saved: float
    crystal_bleu: float
    bits_per_byte: float
    overrun: float
    empty: float

    def to_json(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


@dataclass(slots=True)
class FigureMaker:
    """Makes the figures of each arm on the same holes."""

    results: Sequence[HoleResult]
    _shared: frozenset[Ngram] | None = field(default=None, init=False)

    def of(self, arm: str) -> ArmFigures:
        """The figures of one arm.

        :raises ValueError: there are no holes.
        """
        if not self.results:
            raise ValueError("figures of no holes")
        answers = [(result, result.answers[arm]) for result in self.results]

        def share(holds: Sequence[bool]) -> float:
            return 100 * sum(holds) / len(holds)

        bits = sum(a.score.nll + a.score.end_nll for _, a in answers) / math.log(2)
        return ArmFigures(
            exact_match=sum(a.score.em for _, a in answers) / len(answers),
            first_line=share([first_line(a.text) == first_line(r.truth) for r, a in answers]),
            edit_similarity=sum(a.score.es for _, a in answers) / len(answers),
            saved=_saved_share([(r, a.text) for r, a in answers]),
            crystal_bleu=crystal_bleu([(a.text, r.truth) for r, a in answers], self._frequent()),
            bits_per_byte=bits / max(1, sum(result.middle_bytes for result in self.results)),
            overrun=share([_overruns(a.text, r.truth) for r, a in answers]),
            empty=share([not a.text.strip() for _, a in answers]),
        )

    def _frequent(self) -> frozenset[Ngram]:
        """Of the code around the holes, which is the repository's and nothing that was judged."""
        if self._shared is None:
            self._shared = shared_ngrams({result.before for result in self.results})
        return self._shared


def saved_characters(text: str, truth: str) -> int:
    """How many characters of ``truth`` a person gets who accepts ``text`` word by word as long as it
    is right. White space at the ends does not count."""
    text, truth = text.rstrip(), truth.rstrip()
    if text == truth:
        return len(truth)
    pairs = zip(text, truth, strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    # A word that goes on otherwise is not accepted.
    while same and _is_inside_word(text, same) | _is_inside_word(truth, same):
        same -= 1
    return same


def _is_inside_word(text: str, place: int) -> bool:
    return place < len(text) and all(_WORD.match(char) for char in text[place - 1 : place + 1])


def _saved_share(texts: Sequence[tuple[HoleResult, str]]) -> float:
    saved = sum(saved_characters(text, result.truth) for result, text in texts)
    return 100 * saved / max(1, sum(len(result.truth.rstrip()) for result, _ in texts))


def compare_saved(
    results: Sequence[HoleResult], first: str, second: str, seed: int = 0
) -> Interval:
    """The saved characters of ``second`` minus those of ``first``, in points, with the interval from
    resampled commits.

    :raises ValueError: there are no holes.
    """
    return paired_interval(
        [
            (
                result.hole.commit,
                100.0
                * (
                    saved_characters(result.answers[second].text, result.truth)
                    - saved_characters(result.answers[first].text, result.truth)
                ),
                float(len(result.truth.rstrip())),
            )
            for result in results
        ],
        seed,
    )


def first_line(text: str) -> str:
    """Up to the first line end, white space at its end apart."""
    return text.partition("\n")[0].rstrip()


def _overruns(text: str, truth: str) -> bool:
    written, wanted = text.rstrip(), truth.rstrip()
    return len(written) > len(wanted) and written.startswith(wanted)
