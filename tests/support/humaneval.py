"""Rows as HumanEval's infilling benchmark has them, of a function of two lines."""

from __future__ import annotations

HEAD = 'def double(x):\n    """Twice x."""\n'
TEST = "def check(candidate):\n    assert candidate(4) == 8\n"


def row(number, prompt, middle, suffix):
    return {
        "task_id": f"SingleLineInfilling/HumanEval/{number}/L0",
        "entry_point": "double",
        "prompt": prompt,
        "canonical_solution": middle,
        "suffix": suffix,
        "test": TEST,
    }


ROWS = [
    row(0, HEAD, "    y = x * 2\n", "    return y\n"),
    row(0, HEAD + "    y = x * 2\n", "    return y\n", ""),
    row(1, HEAD, "    return x + x\n", ""),
]
