"""bench/quality.py: holes, overruns and metrics are computed correctly."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.support.humaneval import HEAD, ROWS, TEST, row

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCH))
    figures, infilling = (importlib.import_module(name) for name in ("figures", "infilling"))


def test_newlines_move_into_the_suffix_without_changing_the_program():
    task = infilling.make_task(ROWS[0])
    assert (task.middle, task.suffix) == ("    y = x * 2", "\n    return y\n")
    assert task.problem == "HumanEval/0"
    whole = "".join(ROWS[0][k] for k in ("prompt", "canonical_solution", "suffix"))
    assert task.program(task.middle) == f"{whole}\n{TEST}\ncheck(double)\n"
    assert infilling.make_task({**ROWS[0], "canonical_solution": "\n"}).middle == "\n"


def test_a_sample_is_seeded_and_stratified_by_problem():
    tasks = [infilling.make_task(row(i // 10 % 3, HEAD, f"    {i}\n", "")) for i in range(30)]
    tasks += [infilling.make_task(row(7, HEAD, f"    {i}\n", "")) for i in range(30)]
    found = infilling.sample(tasks, 20, 1)
    assert found == infilling.sample(tasks, 20, 1) != infilling.sample(tasks, 20, 2)
    assert len({t.middle + t.problem for t in found}) == 20
    assert sum(t.problem == "HumanEval/7" for t in found) == 10
    assert infilling.sample(tasks, 60, 1) == tasks


def hole(prefix, middle, suffix):
    return infilling.Task("t", "p", "f", prefix, middle, suffix, "")


LINE = hole("def f(x):\n", "    y = x", "\n    return y\n")
LAST = hole("def f(x):\n    y = x\n", "    return y", "\n")
REST = hole("print(", "a, b", ", sep='')\n")


@pytest.mark.parametrize(
    ("task", "completion", "expected"),
    [
        (LINE, "    y = x", None),
        (LINE, "    y = x  \n\n", None),
        (LINE, "    y = x + 1", None),  # wrong, but it ends where the hole ends
        (LINE, "    z = x\n    y = z", None),  # longer, but at its place
        (LINE, "", None),
        (LINE, "    y = x\n    y += 1", "goes_on"),
        (LINE, "    y = 2\n    return y", "repeats_suffix"),
        (LINE, "    y = 2\n\ndef g():", "leaves_block"),
        (LAST, "    return 1\n\n\nprint(f(1))", "leaves_block"),
        (LAST, "    if y:\n        return y", None),
        (REST, "a", None),
        (REST, "a, b, c", "goes_on"),
        (REST, "b, sep='')", "repeats_suffix"),
        (REST, "b\n)", "leaves_block"),
    ],
)
def test_overruns_are_classified(task, completion, expected):
    assert infilling.overrun(task, completion, endless=False) == expected
    endless = "endless" if expected is None and completion.rstrip() != task.middle else expected
    assert infilling.overrun(task, completion, endless=True) == endless


def test_a_line_of_the_middle_is_no_repetition_of_the_suffix():
    task = hole("def f(x):\n", "    go()\n    go()", "\n    go()\n")
    assert infilling.overrun(task, "    x = 1\n    go()", endless=False) is None


def test_the_ceiling_of_the_trim_rules_is_computed():
    assert infilling.trim_keeps(LINE)
    assert infilling.trim_keeps(hole("def f(x):\n", "    a = 1\n\n    return 2", "\n"))
    repeated = hole("def f(x):\n", "    a = 1\n    return 2", "\n    return 2\n")
    assert not infilling.trim_keeps(repeated)


def test_left_to_right_models_are_scored_on_the_first_line():
    assert infilling.first_line("    y = x\n    more\n") == "    y = x"


def test_endless_completions_are_those_cut_by_no_rule_with_room_left():
    def answer(**changed):
        facts = {"finish": "length", "rule": None, "fits": True, **changed}
        return figures.Answer(LINE, "    y = 0", "    y = 0", **facts).overrun

    assert answer() == "endless"
    assert answer(finish="stop") is answer(rule="after_line") is answer(fits=False) is None


def test_the_interval_contains_the_mean_and_resamples_problems():
    values, problems = [100.0, 100.0, 0.0, 0.0] * 5, [f"p{i // 2}" for i in range(20)]
    found = figures.interval(values, problems, 0)
    assert found["value"] == 50 and 0 < found["low"] < 50 < found["high"] < 100
    apart = figures.interval(values, [f"p{i}" for i in range(20)], 0)
    assert found["high"] - found["low"] > apart["high"] - apart["low"]
    assert figures.interval([100.0], ["p"], 0) == {"value": 100, "low": None, "high": None}
