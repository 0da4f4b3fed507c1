"""What the next buffer tells of completions: ``python bench/feedback.py [--quick] [--json] [--repo PATH]``.

Scripted persons type lines of the repository's Python files, are shown what comes next there or
another line of the file, and do what people do with it. Nothing is reported. It prints, for each kind
of person, how often each outcome was inferred, and what this costs a request: eight open completions in
the file, the table full, on disk.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from about import machine, name_of

from git_copilot.index.corpus import feedback_outcomes, feedback_store
from git_copilot.index.corpus.buffer_outcome import Buffer, OpenCompletion, buffer_outcomes
from git_copilot.index.corpus.feedback_store import ShownCompletion
from git_copilot.index.corpus.outcome import cursor_context
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database

PLACES = 400
OPEN = 8
MAX_BYTES = 200_000
WORD = re.compile(r"\W*\w+")


@dataclass(frozen=True)
class Place:
    """A cursor in a line of a file: the text before it, what the author wrote next on the line, the
    text behind the line, and another line of the file."""

    before: str
    rest: str
    after: str
    other: str

    @property
    def line(self) -> int:
        return self.before.count("\n") + 1


# What a person does: what is shown, and the texts between cursor and line end, one a request; a
# line end at the end of one says that the cursor is on the next line.
Deeds = tuple[str, list[str]]


def accepts(place: Place) -> Deeds:
    return place.rest, [place.rest]


def accepts_and_goes_on(place: Place) -> Deeds:
    return place.rest, [f"{place.rest}\n"]


def types_along(place: Place) -> Deeds:
    steps = []
    end = 0
    while end < len(place.rest):
        end += random.choice((1, 2, 3))
        steps.append(place.rest[:end])
    return place.rest, steps


def types_without_a_pause(place: Place) -> Deeds:
    return place.rest, [f"{place.rest}\n"]


def accepts_words(place: Place) -> Deeds:
    part = first_words(place.rest)
    return place.rest, [part, f"{part} or_else()\n"]


def writes_another_line(place: Place) -> Deeds:
    return place.other, [place.rest[:2], f"{place.rest}\n"]


def accepts_and_changes_a_word(place: Place) -> Deeds:
    *_, last = WORD.finditer(place.rest)
    return place.rest, [f"{place.rest[: last.start()]} changed{place.rest[last.end() :]}\n"]


def goes_elsewhere(place: Place) -> Deeds:
    return place.rest, ["\n"]


PERSONS: dict[str, Callable[[Place], Deeds]] = {
    "accepts": accepts,
    "accepts, goes to the next line": accepts_and_goes_on,
    "types along": types_along,
    "types the same without a pause": types_without_a_pause,
    "accepts words, writes on": accepts_words,
    "writes another line": writes_another_line,
    "accepts, changes a word": accepts_and_changes_a_word,
    "goes elsewhere": goes_elsewhere,
}


def first_words(text: str) -> str:
    """The first words of a text, six characters at least where it has more."""
    ends = [found.end() for found in WORD.finditer(text)][:-1]
    return text[: next((end for end in ends if end >= 6), ends[-1] if ends else len(text))]


def infer(place: Place, deeds: Deeds) -> str:
    """The outcome that is known of a completion at the end."""
    shown, steps = deeds
    spot = cursor_context(place.before, f"\n{place.after}", place.line)
    known = OpenCompletion("c", spot, shown)
    outcome = "open"
    for step in steps:
        below = step.endswith("\n")
        text = place.before + step.removesuffix("\n")
        prefix, suffix = (f"{text}\n", place.after) if below else (text, f"\n{place.after}")
        buffer = Buffer.at_cursor(prefix, suffix, prefix.count("\n") + 1)
        for each in buffer_outcomes(buffer, [known]):
            if each.outcome is None:
                known = replace(known, typed=each.typed)
                continue
            outcome = each.outcome
            if outcome != "partial":
                return outcome
            known = replace(known, typed=each.typed, partial=True)
    return outcome


def places(texts: list[str], count: int) -> Iterator[Place]:
    """Random places with at least ten characters and two words to write on the line."""
    while count:
        lines = random.choice(texts).split("\n")
        line, other = (random.choice(lines) for _ in range(2))
        number = lines.index(line)
        begin = len(line) - len(line.lstrip()) + random.choice((0, 4, 8, 12))
        rest = line[begin:].rstrip()
        if (
            len(rest) < 10
            or len(WORD.findall(rest)) < 2
            or len(other.strip()) < 10
            or other == line
        ):
            continue
        above = "".join(f"{each}\n" for each in lines[:number])
        count -= 1
        yield Place(above + line[:begin], rest, "\n".join(lines[number + 1 :]), other.strip())


def request_ms(texts: list[str], count: int) -> dict[str, float]:
    """The time of one request: load open completions, compare, record."""
    text = max(texts, key=len)
    taken = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Database(Path(folder) / DATABASE_NAME, create=True) as db,
    ):
        now = int(time.time())
        for number, place in enumerate(places([text], count * OPEN)):
            path = f"{number // OPEN}.py"
            spot = cursor_context(place.before, f"\n{place.after}", place.line)
            shown = ShownCompletion(f"c{number}", now, path, spot, place.rest, "m")
            feedback_store.record_shown(db, shown)
            if (number + 1) % OPEN:
                continue
            written = place.before + place.rest
            begun = time.perf_counter()
            known = feedback_outcomes.open_completions(db, path, now - 60)
            buffer = Buffer.at_cursor(written, f"\n{place.after}", place.line)
            feedback_outcomes.record_inferred(db, buffer_outcomes(buffer, known))
            taken.append((time.perf_counter() - begun) * 1000)
    taken.sort()
    return {
        "characters": len(text),
        "p50": round(statistics.median(taken), 3),
        "p90": round(taken[int(0.9 * len(taken))], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--repo", type=Path, default=Path(__file__).resolve().parent.parent)
    given = parser.parse_args()
    random.seed(0)
    repo = GitRepository.discover(given.repo)
    tracked = repo.run("ls-files", "-z", "*.py").decode().split("\0")[:-1]
    files = [given.repo / name for name in tracked]
    texts = [file.read_text("utf-8") for file in files if file.stat().st_size < MAX_BYTES]
    count = PLACES // 8 if given.quick else PLACES
    outcomes = {
        name: dict(Counter(infer(place, person(place)) for place in places(texts, count)))
        for name, person in PERSONS.items()
    }
    found = {
        "repository": name_of(given.repo, repo), "commit": repo.head_commit(), "places": count,
        "outcomes": outcomes, "request_ms": request_ms(texts, count), "machine": machine(),
    }  # fmt: skip
    if given.as_json:
        print(json.dumps(found))
        return
    names = ("accepted", "typed", "partial", "edited", "rejected", "open")
    print(f"{'of ' + str(count) + ' each':<34}" + "".join(f"{name:>10}" for name in names))
    for person, counts in outcomes.items():
        print(f"{person:<34}" + "".join(f"{counts.get(n, 0) / count:>10.1%}" for n in names))
    print(f"a request, {found['request_ms']}")


if __name__ == "__main__":
    main()
