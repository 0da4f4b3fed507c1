"""Answers that are still right: a person who types what was proposed sees the rest of it at once."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from git_copilot.assistant.api.answers import Timings
from git_copilot.assistant.completion.request import Place, moved
from git_copilot.assistant.postprocess.pairs import ClosedPairs

if TYPE_CHECKING:
    from git_copilot.assistant.api.answers import CompleteAnswer
    from git_copilot.assistant.api.requests import CompleteRequest

# Questions that are kept, and answers to each: at one place, after different keys.
MAX_QUESTIONS, MAX_ANSWERS = 32, 8
# Answers whose places are kept, to prepare the next one when an answer is accepted.
MAX_PLACES = 4
# Later than this the person looks at other code. An editor that draws again asks the same at once;
# whoever asks it later may have saved another file meanwhile.
KEEP_SECONDS, AGAIN_SECONDS = 60.0, 5.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer behind a text of which only length and hash are kept, and before ``closers``.
    ``whole``: nothing was left out of its prompt, and time did not end it."""

    length: int
    prefix: int
    closers: str
    answer: CompleteAnswer
    whole: bool
    when: float


class AnswerCache:
    """The last answers of a session, by everything that they depend on."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, deque[_Kept]] = OrderedDict()
        self._asked: deque[tuple[CompleteRequest, Place, CompleteAnswer]] = deque(maxlen=MAX_PLACES)

    def accepted(self, completion_id: str) -> tuple[CompleteRequest, Place] | None:
        """The request and the place behind an answer once it was accepted, if it is known."""
        for request, place, answer in reversed(self._asked):
            if answer.id == completion_id:
                document = place.document
                text = answer.completion.replace("\r\n", "\n")
                prefix, suffix = (
                    part.replace("\n", document.newline)
                    for part in (document.prefix + text, document.suffix)
                )
                return request, moved(place, prefix, suffix)
        return None

    def keep(
        self,
        question: Hashable,
        request: CompleteRequest,
        place: Place,
        answer: CompleteAnswer,
        *,
        whole: bool,
    ) -> None:
        """Keep an answer.

        :param question: all that the answer depends on but the text at the cursor.
        :param whole: whether the same question would be answered no better.
        """
        if answer.completion.strip():
            self._asked.append((request, place, answer))
        document = place.open_document
        key = (question, hash(document.suffix))
        kept = self._kept.setdefault(key, deque(maxlen=MAX_ANSWERS))
        self._kept.move_to_end(key)
        prefix = document.prefix
        kept.append(
            _Kept(len(prefix), hash(prefix), place.closers, answer, whole, time.monotonic())
        )
        if len(self._kept) > MAX_QUESTIONS:
            self._kept.popitem(last=False)

    def find(self, question: Hashable, place: Place, *, again: bool) -> CompleteAnswer | None:
        """The answer to a question that was asked, or to one before the last keys, if these are
        what it proposed; then it is the rest of that.

        :param again: whether the same question may have the same answer. Otherwise it is computed
            again.
        """
        begun = time.perf_counter()
        document = place.open_document
        for kept in reversed(self._kept.get((question, hash(document.suffix)), ())):
            typed = document.prefix[kept.length :]
            age = time.monotonic() - kept.when
            if len(document.prefix) < kept.length or age > (
                KEEP_SECONDS if typed else AGAIN_SECONDS
            ):
                continue
            if not typed and not (again and kept.whole and place.closers == kept.closers):
                continue
            # What was typed may have had the editor close more pairs.
            if not place.closers.endswith(kept.closers):
                continue
            if hash(document.prefix[: kept.length]) != kept.prefix:
                continue
            found = rest_of(kept.answer, typed, place)
            if found is not None:
                ms = (time.perf_counter() - begun) * 1000
                return replace(found, timings=Timings(0.0, 0.0, 0.0, ms))
        return None


def rest_of(answer: CompleteAnswer, typed: str, place: Place) -> CompleteAnswer | None:
    """What is left of an answer once ``typed`` was written; ``None`` if that is nothing, or if
    something else was typed.

    An editor that closed a pair meanwhile wants what fits inside.
    """
    document = place.document
    rests: dict[str, float | None] = {}
    confidences = answer.confidences or (answer.confidence,) * len(answer.candidates)
    for text, confidence in zip(answer.candidates, confidences, strict=True):
        plain = text.replace("\r\n", "\n")
        if not plain.startswith(typed):
            continue
        rest = plain[len(typed) :]
        if typed and place.closers:
            rest = ClosedPairs(document.prefix, document.suffix, place.path).inside(rest)
        if rest or not typed:
            rests.setdefault(rest.replace("\n", document.newline), confidence)
    if not rests:
        return None
    return replace(
        answer,
        candidates=tuple(rests),
        confidence=next(iter(rests.values())),
        confidences=tuple(rests.values()),
        line=document.line,
        column=document.column,
        cached_tokens=answer.prompt_tokens,
        completion_tokens=0,
        whole_line=None if typed else answer.whole_line,
        from_cache=True,
    )
