"""The holes of HumanEval-Infilling (Bavarian et al., arXiv 2207.14255), and what a completion did.

Pure but for reading the files. A hole is given to the model as an editor has it: line ends at the
end of a middle belong to the text behind the cursor, so that a hole of whole lines is a blank line
and not the start of the next one. The programs that are run are the same either way.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.postprocess.trim import Trimmer
from git_copilot.index.core.errors import CopilotError

FILES = {
    "single-line": "HumanEval-SingleLineInfilling.jsonl.gz",
    "multi-line": "HumanEval-MultiLineInfilling.jsonl.gz",
    "random-span": "HumanEval-RandomSpanInfillingLight.jsonl.gz",
}
# A line of the suffix that is shorter ("}", "else:") recurs by right.
MIN_SUFFIX_LINE = 4
# What stands behind a cursor inside a line is told from chance by so many characters.
MIN_REST = 2


@dataclass(frozen=True, slots=True)
class Task:
    """One hole: ``problem`` is the HumanEval problem that it was cut from."""

    name: str
    problem: str
    entry_point: str
    prefix: str
    middle: str
    suffix: str
    test: str

    def program(self, completion: str) -> str:
        """The whole program with its test, as the benchmark's authors put it together."""
        code = self.prefix + completion + self.suffix
        return f"{code}\n{self.test}\ncheck({self.entry_point})\n"


def read_tasks(folder: Path, subset: str) -> list[Task]:
    """All holes of a subset, in the order of the file.

    :raises CopilotError: the file is not there, or is not what it should be.
    """
    return read_rows(folder / FILES[subset], "openai/human-eval-infilling", make_task)


def read_rows(path: Path, origin: str, make: Callable[[dict[str, str]], Task]) -> list[Task]:
    """A task of each row of a benchmark's file.

    :param origin: the repository that has the file.
    :raises CopilotError: as :func:`read_tasks`.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return [make(json.loads(line)) for line in file]
    except FileNotFoundError as exc:
        raise CopilotError(
            f"{path} is not there", f"take it from {origin} (data/) and name the folder with --data"
        ) from exc
    except (OSError, EOFError, ValueError, KeyError) as exc:
        raise CopilotError(f"{path} cannot be read ({exc})", "fetch the file again") from exc


def make_task(row: dict[str, str]) -> Task:
    """A hole from a row of the benchmark, line ends moved behind the cursor."""
    middle = row["canonical_solution"].rstrip("\n") or row["canonical_solution"]
    return Task(
        name=row["task_id"],
        problem="/".join(row["task_id"].split("/")[1:3]),
        entry_point=row["entry_point"],
        prefix=row["prompt"],
        middle=middle,
        suffix=row["canonical_solution"][len(middle) :] + row["suffix"],
        test=row["test"],
    )


def sample(tasks: Sequence[Task], limit: int, seed: int) -> list[Task]:
    """At most ``limit`` holes, of each problem in proportion to its number (a systematic sample
    with a random start), so that means estimate those of the whole set."""
    if limit >= len(tasks):
        return list(tasks)
    rng = random.Random(seed)
    by_problem: dict[str, list[Task]] = {}
    for task in tasks:
        by_problem.setdefault(task.problem, []).append(task)
    ordered = [t for group in by_problem.values() for t in rng.sample(group, len(group))]
    start = rng.random()
    return [ordered[int((i + start) * len(ordered) / limit)] for i in range(limit)]


def trim_keeps(task: Task) -> bool:
    """Whether the trim rules leave the right answer whole, from a model that saw the suffix and
    ended by itself: what no model can get past."""
    kept = Trimmer(task.prefix, task.suffix, path=f"{task.entry_point}.py").trim(task.middle).text
    return kept.rstrip() == task.middle.rstrip()


def first_line(text: str) -> str:
    """The answer to a single-line hole when everything after the first line is cut off."""
    return text.partition("\n")[0]


def overrun(task: Task, completion: str, *, endless: bool) -> str | None:
    """How a completion goes on beyond its hole; ``None`` when it does not.

    White space at the ends is left out, and a completion equal to the middle never overruns. In
    order:

    - ``"goes_on"``: it holds the middle and more. Where the hole ends with its line, more means
      more lines: ``x + 1`` for ``x`` is a wrong expression, but it ends where the hole ends.
    - ``"repeats_suffix"``: a line of it is the next line of the suffix; inside a line, it ends
      with what stands right of the hole (the middle does neither).
    - ``"leaves_block"``: a line is indented less than the middle and the next line of the suffix;
      inside a line, it goes on to other lines though the middle does not.
    - ``"endless"``: it was still not at its end when the tokens were used up.

    Only what the texts show is counted, whether the program passes or not. A wrong completion that
    is longer than its middle but keeps to the place is not counted.

    :param endless: the model used up its tokens, no rule cut it, and the middle needs fewer.
    """
    text, middle = completion.rstrip(), task.middle.rstrip()
    if text == middle:
        return None
    rest = task.suffix.partition("\n")[0].strip()
    if text.startswith(middle) and (rest or text[len(middle) :].startswith("\n")):
        return "goes_on"
    if _repeats(task, text, middle, rest):
        return "repeats_suffix"
    if _leaves(task, text, middle, rest):
        return "leaves_block"
    return "endless" if endless else None


def _next_line(task: Task) -> str:
    """The first line of the suffix that begins behind the hole and is not blank."""
    return next((x.rstrip() for x in task.suffix.split("\n")[1:] if x.strip()), "")


def _lines(task: Task, text: str) -> list[str]:
    """The lines of a text put into the hole; the first with what stands before the cursor."""
    return (task.prefix.rpartition("\n")[2] + text).split("\n")


def _repeats(task: Task, text: str, middle: str, rest: str) -> bool:
    if len(rest) >= MIN_REST and text.endswith(rest) and not middle.endswith(rest):
        return True
    following = _next_line(task)
    if len(following.strip()) < MIN_SUFFIX_LINE:
        return False
    ours = {line.rstrip() for line in _lines(task, text)}
    return following in ours - {line.rstrip() for line in _lines(task, middle)}


def _leaves(task: Task, text: str, middle: str, rest: str) -> bool:
    if rest and "\n" in text and "\n" not in middle:
        return True
    around = [*_lines(task, middle), _next_line(task)]
    floor = min(_indent(line) for line in around if line.strip())
    return any(_indent(line) < floor for line in _lines(task, text) if line.strip())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
