"""Guards what the model knew: code that is not this repository's must stay as likely.

The code is the standard library of the running interpreter: at hand on every machine, written
by other people, and never in the training set.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from git_copilot.assistant.dataset.examples import Example, cut_blob, make_example
from git_copilot.assistant.evaluation.metrics import Score, summary
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.holes import choose_spans

MODULES = ("bisect", "calendar", "cmd", "colorsys", "copy", "csv", "fnmatch", "getopt",
           "heapq", "linecache", "netrc", "pprint", "queue", "reprlib", "sched", "shelve",
           "shlex", "shutil", "stat", "string", "tempfile", "textwrap", "timeit", "zipapp")  # fmt: skip
HOLES_PER_MODULE = 1
BUDGET = Budget(prompt=320, context=0, suffix=96)
# A likelihood that falls by less is within what training on any text does.
TOLERANCE = 0.05


def guard_examples(tokenizer: TextTokenizer) -> list[Example]:
    """One hole of each module whose source is here (none in a stripped installation)."""
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


def verdict(base: Sequence[Score], candidate: Sequence[Score]) -> dict[str, Any]:
    """The ``regression_guard`` of the evidence; NLL in nats per token, end token included.

    It passes when neither the whole nor the middle alone is less likely by more than
    :data:`TOLERANCE`: what is won by ending in time must not hide what is lost in the code.
    Without a hole to judge by it passes, and says so by ``holes: 0``.
    """
    whole = [summary(scores)["nll"] for scores in (base, candidate)]
    tokens = max(sum(s.tokens for s in base), 1)
    middle = [round(sum(s.nll for s in scores) / tokens, 5) for scores in (base, candidate)]
    return {
        "holes": len(base),
        "base_nll": whole[0],
        "candidate_nll": whole[1],
        "base_middle_nll": middle[0],
        "candidate_middle_nll": middle[1],
        "tolerance": TOLERANCE,
        "passed": all(after <= before * (1 + TOLERANCE) for before, after in (whole, middle)),
    }
