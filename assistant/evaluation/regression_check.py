"""Checks that training did not make code outside the repository less likely.

That code is the standard library of the running interpreter: it is on every machine, other people
wrote it, and it is never in the training set.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import Example, make_example
from git_copilot.assistant.evaluation.metrics import Score, mean_nll, middle_nll
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.holes import choose_spans

MODULES = ("bisect", "calendar", "cmd", "colorsys", "copy", "csv", "fnmatch", "getopt",
           "heapq", "linecache", "netrc", "pprint", "queue", "reprlib", "sched", "shelve",
           "shlex", "shutil", "stat", "string", "tempfile", "textwrap", "timeit", "zipapp")  # fmt: skip
HOLES_PER_MODULE = 1
BUDGET = Budget(prompt=320, context=0, suffix=96)
# Training on any text changes the likelihood by less.
TOLERANCE = 0.05


def guard_examples(tokenizer: TextTokenizer) -> list[Example]:
    """A hole from each module whose source is installed (none in a stripped installation)."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    examples = []
    for name in MODULES:
        try:
            data = (folder / f"{name}.py").read_bytes()
        except OSError:
            continue
        spans = choose_spans(data, [(1, data.count(b"\n"))], f"guard:{name}")
        for span in spans[:HOLES_PER_MODULE]:
            hole = Hole(
                "stdlib", name, f"{name}.py", span.start, span.end, span.kind, "", 0, "python"
            )
            examples.append(make_example(tokenizer, cut_blob(data, hole), (), BUDGET))
    return examples


@dataclass(frozen=True, slots=True)
class RegressionCheck:
    """The ``regression_guard`` of a report; NLL in nats per token, ``*_middle_nll`` without and
    ``*_nll`` with the end token."""

    holes: int
    base_nll: float
    candidate_nll: float
    base_middle_nll: float
    candidate_middle_nll: float
    tolerance: float
    passed: bool


def check_regression(base: Sequence[Score], candidate: Sequence[Score]) -> RegressionCheck:
    """Compare the likelihood of code outside the repository.

    The check passes when neither the whole nor the middle alone is less likely by more than
    :data:`TOLERANCE`: a gain from ending in time must not hide a loss in the code. Without holes
    it passes, and ``holes`` is 0.
    """
    whole = [mean_nll(scores) for scores in (base, candidate)]
    middle = [middle_nll(scores) for scores in (base, candidate)]
    return RegressionCheck(
        holes=len(base),
        base_nll=whole[0],
        candidate_nll=whole[1],
        base_middle_nll=middle[0],
        candidate_middle_nll=middle[1],
        tolerance=TOLERANCE,
        passed=all(after <= before * (1 + TOLERANCE) for before, after in (whole, middle)),
    )
