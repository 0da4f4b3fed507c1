"""A prompt can be prefilled within the latency limit, and is stable while the user types."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.latency import LITTLE, MIN_TOKENS, fit_budget
from git_copilot.assistant.prompt.snippet_cache import (
    MAX_FILES,
    StickySnippets,
    scope_of,
    stable_snippets,
)
from git_copilot.index.core.types import Hit

BUDGET = Budget(1024, 512, 192)


@given(rate=st.floats(1, 1e6), latency=st.integers(1, 60_000))
def test_the_fitted_budget_can_be_prefilled_within_the_latency(rate, latency):
    fitted = fit_budget(BUDGET, rate, latency)
    assert MIN_TOKENS <= fitted.prompt <= BUDGET.prompt
    assert fitted.prompt <= max(MIN_TOKENS, rate * latency / 1000)
    half = fitted.context * 2 == fitted.prompt
    assert half if fitted.prompt >= LITTLE else fitted.context * 2 < fitted.prompt
    assert fitted.context + fitted.suffix < fitted.prompt
    if rate * latency / 1000 >= BUDGET.prompt:
        assert fitted == BUDGET


@pytest.mark.parametrize(("rate", "latency"), [(None, 1000), (5.0, 0)])
def test_without_a_limit_or_a_measured_rate_the_budget_is_unchanged(rate, latency):
    assert fit_budget(BUDGET, rate, latency) == BUDGET


def test_a_small_budget_is_not_enlarged():
    assert fit_budget(Budget(130, 60, 20), 10.0, 100) == Budget(130, 60, 20)


def hit(name, score=1.0):
    return Hit(0, f"{name}.py", f"blob-{name}", 1, 9, name, score, ("lexical",))


A, B, C, D = (hit(name) for name in "abcd")


@pytest.mark.parametrize(
    ("found", "settled"),
    [
        ([A, B, C], [A, B, C]),
        ([C, B, A], [A, B, C]),  # only another order
        ([B], [A, B, C]),
        ([C, D], [A, B, C]),  # a new one that is not the best
        ([D, A, B], [D, A, B]),  # a new best: next to the cursor, the others where they were
        ([D, C], [D, A, B]),
        ([D, C, B, A], [D, A, B, C]),
        ([], []),
    ],
)
def test_snippets_are_kept_until_a_clearly_better_one_appears(found, settled):
    assert stable_snippets([A, B, C], found) == settled


PREFIX = "import os\n\nclass Shape:\n    def area(self):\n        width = 1\n        hei"


def test_typing_keeps_the_scope_and_leaving_it_changes_it():
    inside = scope_of(PREFIX)
    assert inside == ("def area(self):", "class Shape:")
    more = "ght = 2\n        if width:\n"
    for cut in range(len("ght = 2\n        ")):
        assert scope_of(PREFIX + more[:cut]) == inside
    assert scope_of(PREFIX + more + "            x") == ("if width:", *inside)
    assert scope_of(PREFIX + more) == ("if width:", *inside)
    assert scope_of(PREFIX + "\n    def other(self):\n        ") == ("def other(self):", inside[1])
    assert scope_of(PREFIX + "\n\n\nx = 1") == ()


@given(st.text(alphabet=" \t\nab:({})", max_size=120))
def test_the_scope_consists_of_lines_above_the_cursor(text):
    lines = [line.strip() for line in text.split("\n")]
    assert all(header in lines[:-1] for header in scope_of(text))


def test_a_file_keeps_its_snippets_while_the_scope_and_the_index_stay():
    sticky_snippets = StickySnippets()

    def ask(*found, file="x.py", prefix=PREFIX, tree="t1"):
        return sticky_snippets.choose(file, prefix, (tree,), found)

    assert ask(A, B) == [A, B]
    assert ask(B, A, prefix=PREFIX + "ght") == [A, B]
    assert ask(B, A, file="y.py") == [B, A]
    assert ask(B, A, prefix=PREFIX + "\n\n\nx = 1") == [B, A]
    assert ask(A, B, tree="t2") == [A, B]
    moved = replace(A, blob="other", start_line=3)  # lines above it were added or removed
    assert ask(moved, B, tree="t2", prefix=PREFIX + "ght = 2\n        ") == [A, B]
    changed = replace(A, text="other")
    later = PREFIX + "ght = 2\n        x = 1\n        "
    assert ask(changed, B, tree="t2", prefix=later) == [changed, A]


ABOVE = PREFIX.rpartition("\n")[0]


def test_better_snippets_are_used_from_the_next_line_on():
    sticky_snippets = StickySnippets()

    def ask(line, *found, above=ABOVE):
        return sticky_snippets.choose("x.py", f"{above}\n{line}", (), found)

    assert ask("        ") == []
    assert ask("        h", A, B) == [A, B]  # there was nothing to keep
    assert ask("        height = ar", D, A) == [A, B]
    assert ask("        height", C, D) == [A, B]
    assert ask("        ", C, D) == [C, A]  # the line was taken back
    assert ask("        width = ", D, A) == [C, A]
    assert ask("        area = ", D, A) == [D, C]  # another line in its place
    above = f"{ABOVE}\n        width = 1"
    assert ask("        ", B, A, above=above) == [B, D]
    assert ask("        area = ", A, B, above=above) == [B, D]


def test_only_the_most_recent_files_are_remembered():
    sticky_snippets = StickySnippets()
    for number in range(MAX_FILES + 1):
        sticky_snippets.choose(f"{number}.py", PREFIX, (), [A, B])
    assert sticky_snippets.choose("0.py", PREFIX, (), [B, A]) == [B, A]
    assert sticky_snippets.choose(f"{MAX_FILES}.py", PREFIX, (), [B, A]) == [A, B]
