"""Duplicates are trained on once, and copies of held-out holes never."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.assistant.dataset.cuts import Cut, cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.dataset.leakage import (
    IDIOM_FILES,
    MIN_DISTINCTIVE,
    NEAR_LINES,
    DuplicateCounts,
    KnownHoles,
    drop_copies,
    drop_duplicates,
    drop_known,
    drop_showing,
    find_copies,
    find_shown,
    surroundings,
)
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hit, Hole
from tests.support.reference_dedup import THRESHOLD, is_copy, marked, runs, similarity
from tests.support.tiny_models import save_tiny


def cut(text, commit="c", path="m.py"):
    """The hole between ⟦ and ⟧."""
    before, _, rest = text.partition("⟦")
    middle, _, after = rest.partition("⟧")
    start, end = len(before.encode()), len((before + middle).encode())
    hole = Hole(commit, "b", path, start, end, "line", "", 0, "python")
    return cut_blob((before + middle + after).encode(), hole)


# One rule at a time.


def test_moved_reformatted_or_reindented_holes_are_exact_duplicates():
    one = cut("def f(a):\n    ⟦return g(a, 1)⟧\n")
    moved = cut("\n\ndef f(a):\n⟦        return g( a,\n        1)⟧\n", path="other.py")
    kept, dropped = drop_duplicates([one, moved])
    assert kept == [one]
    assert dropped == DuplicateCounts(exact=1, near=0)


NEAR = """def total(items, rate, start):
    result = start
    for item in items:
        ⟦result += item.price * rate⟧
    if result < 0:
        raise ValueError(result)
    return result
"""


def test_of_near_duplicates_the_first_is_kept():
    newest, older = cut(NEAR), cut(NEAR.replace("def total", "def sum_of"))
    assert drop_duplicates([newest, older]) == ([newest], DuplicateCounts(exact=0, near=1))
    assert drop_duplicates([older, newest]) == ([older], DuplicateCounts(exact=0, near=1))


def test_two_holes_in_the_same_lines_are_not_duplicates():
    other = NEAR.replace("⟦", "").replace("⟧", "").replace("if result < 0:", "⟦if result < 0:⟧")
    cuts = [cut(NEAR), cut(other)]
    assert drop_duplicates(cuts) == (cuts, DuplicateCounts(exact=0, near=0))
    assert drop_copies(cuts[:1], cuts[1:]) == (cuts[:1], 0)


LINE = "    return compute(first, second, third_one)\n"


@pytest.mark.parametrize(
    "training",
    [
        # the same line, cut elsewhere
        "# moved\n        return compute⟦(first, second, third_one)⟧\n",
        "def g():\n    ⟦return⟧ compute(first, second, third_one)\n",
        # the same middle on another line, white space aside
        "value = ⟦compute(first,  second,\n    third_one)⟧\n",
    ],
)
def test_copies_of_held_out_holes_are_dropped_from_training(training):
    held = [cut("def f():\n" + LINE.replace("compute", "⟦compute").replace("e)", "e)⟧"))]
    assert held[0].middle == "compute(first, second, third_one)"
    assert drop_copies([cut(training)], held) == ([], 1)


@pytest.mark.parametrize(
    ("middle", "dropped"), [("return None", 0), ("return compute(first, second, third_one)", 1)]
)
def test_a_middle_of_a_few_tokens_is_no_copy_of_a_held_out_one(middle, dropped):
    held = [cut(f"def one(a):\n    b = a\n    ⟦{middle}⟧\n")]
    training = [cut(f"class Two:\n    def third(self):\n        x()\n        ⟦{middle}⟧\n")]
    assert drop_copies(training, held) == ([] if dropped else training, dropped)


LONG = (
    "    with open(path, encoding='utf-8') as file:\n"
    "        for number, row in enumerate(csv.reader(file)):\n"
    "            yield Row(number, row[0], row[1])"
)


def test_a_long_middle_with_one_changed_word_is_a_copy():
    held = [cut(f"def rows(path):\n⟦{LONG}⟧\n")]
    other = "class A:\n    def read(self, path):\n        check(path)\n⟦{}⟧\n\n\nx = 1\n"
    near = cut(other.format(LONG.replace("number", "place", 1).replace("file", "file", 1)))
    far = cut(other.format(LONG.replace("number", "n").replace("row", "r").replace("file", "f")))
    assert drop_copies([near, far], held) == ([far], 1)


def shown(*texts, path="a.py"):
    return [[(path, text)] for text in texts]


def test_a_held_out_middle_in_the_surrounding_text_is_found():
    """An older version of a file may hold what a later commit writes again."""
    held = [cut("x = 1\n⟦y = compute(first, second, third_one)⟧\n")]
    texts = shown("a = 0\ny = compute(\n    first, second, third_one)\nb = 2\n", "a = 0\nb = 2\n")
    assert list(find_shown(texts, held)) == [(0, 0)]
    short = [cut("x = 1\n⟦y = compute(first)⟧\n")]
    assert list(find_shown(shown("y = compute(first)\n"), short)) == []


@pytest.mark.parametrize("fim", [True, False])
def test_held_out_code_in_snippets_or_spanning_the_hole_is_found(tmp_path, fim):
    """Comment signs between a snippet's lines, and a suffix before its prefix, hide nothing."""
    tokenizer = TextTokenizer.load(save_tiny(tmp_path / "tiny", fim=fim, layers=1))
    lines = "y = compute(first, second)\nz = combine(y, second)"
    held = [cut(f"x = 1\n⟦{lines}⟧\n")]
    plain = cut("a = 0\n⟦b = 1⟧\nc = 2\n")
    across = cut("a = 0\ny = compute(first, ⟦second)⟧\nz = combine(y, second)\n")
    hit = Hit(1, "other.py", "0" * 40, 1, 2, f"def f():\n{lines}\n", 1.0, ("lexical",))
    examples = [
        make_example(tokenizer, one, hits, Budget(300, 150, 60))
        for one, hits in ((plain, ()), (across, ()), (plain, (hit,)))
    ]
    assert examples[2].prompt.snippets
    assert drop_showing(examples, held, tokenizer) == (examples[:1], 2)
    # A snippet that found no room is not shown.
    unseen = make_example(tokenizer, plain, (hit,), Budget(300, 10, 60))
    assert drop_showing([unseen], held, tokenizer) == ([unseen], 0)


def test_a_line_that_occurs_in_many_files_is_an_idiom():
    held = [cut("x = 1\n⟦assert result.exit_code == 0, result.output⟧\n")]
    text = "    assert result.exit_code == 0, result.output\n"
    files = [[(f"{i}.py", text)] for i in range(IDIOM_FILES)]
    assert list(find_shown(files[:-1], held)) == [(0, 0), (1, 0)]
    assert list(find_shown(files, held)) == []
    # The same file in many versions is one file, and several lines are no idiom.
    assert len(list(find_shown([files[0]] * 9, held))) == 9
    lines = "assert result.exit_code == 0, result.output\n    assert not result.exception"
    held = [cut(f"x = 1\n⟦{lines}⟧\n")]
    assert len(list(find_shown([[(path, lines)] for ((path, _),) in files], held))) == IDIOM_FILES


def test_an_idiom_is_still_dropped_as_a_training_middle():
    held = [cut("x = 1\n⟦assert result.exit_code == 0, result.output⟧\n")]
    training = [
        cut(f"def test_{i}():\n    ⟦assert result.exit_code == 0, result.output⟧\n", path=f"{i}.py")
        for i in range(5)
    ]
    assert drop_copies(training, held) == ([], 5)


def test_evaluation_drops_held_out_holes_seen_in_training():
    held = [
        cut("x = 1\n⟦y = compute(first, second, third_one)⟧\n"),
        cut("x = 1\n⟦z = combine(fourth, fifth, sixth_one)⟧\n"),
        cut("x = 1\n⟦return None⟧\n"),
    ]
    far = "".join(f"line_{i} = {i}\n" for i in range(40))
    training = [cut(f"z = combine(fourth, fifth, sixth_one)\n{far}⟦y⟧ = 5\n")]
    assert drop_known(held, training, 10) == (held, KnownHoles())
    assert drop_known(held, training, 4000) == ([held[0], held[2]], KnownHoles(shown=1))
    assert drop_known(held, [], 4000) == (held, KnownHoles())


def test_surroundings_are_three_non_blank_lines_on_each_side():
    assert NEAR_LINES == 3 and MIN_DISTINCTIVE == 30
    found = cut("a\n\nb\nc\n\n\nd\ne = ⟦f⟧ + g\n\nh\ni\n\nj\nk\n")
    assert surroundings(found) == ("b\nc\n\n\nd\ne = ", " + g\n\nh\ni\n\nj")
    assert surroundings(cut("⟦a⟧")) == ("", "")
    assert surroundings(cut("a\n⟦b⟧\nc")) == ("a\n", "\nc")


# On corpora that nobody chose.

NAMES = [f"name_{i}" for i in range(12)]
STATEMENTS = st.builds(
    str.format,
    st.sampled_from(
        ["{} = {}({}, limit=10)", "return {}", "if {} is not {}:", "{}.{}({}[0], self.{})", ""]
    ),
    *[st.sampled_from(NAMES)] * 5,
)


@st.composite
def corpora(draw):
    """Holes of a few files that share lines, in versions that differ a little."""
    files = draw(st.lists(st.lists(STATEMENTS, min_size=1, max_size=12), min_size=1, max_size=3))
    cuts = []
    for number in range(draw(st.integers(2, 14))):
        lines = list(draw(st.sampled_from(files)))
        for place, line in draw(st.lists(st.tuples(st.integers(0, 11), STATEMENTS), max_size=2)):
            if place < len(lines):
                lines[place] = line
        text = "\n".join(lines)
        ends = st.integers(0, len(text))
        low, high = sorted((draw(ends), draw(ends)))
        hole = Hole(f"c{number}", "b", f"{number % 5}.py", low, high, "line", "", 0, "python")
        cuts.append(Cut(hole, text[:low], text[low:high], text[high:]))
    return cuts


@pytest.mark.slow
@given(corpora(), st.integers(0, 14))
@settings(max_examples=300, deadline=None)
def test_exactly_the_copies_of_held_out_holes_are_dropped(cuts, count):
    held, training = cuts[:count], cuts[count:]
    pairs = [
        (t, h) for t, one in enumerate(training) for h, two in enumerate(held) if is_copy(one, two)
    ]
    assert list(find_copies(training, held)) == pairs
    kept, dropped = drop_copies(training, held)
    assert not any(is_copy(one, other) for one in kept for other in held)
    assert len(kept) + dropped == len(training)
    stay, known = drop_known(held, training, 10**6)
    assert not any(is_copy(one, other) for one in training for other in stay)
    assert len(stay) + known.total == len(held)


@pytest.mark.slow
@given(corpora())
@settings(max_examples=300, deadline=None)
def test_deduplication_keeps_exactly_one_of_each_group(cuts):
    kept, dropped = drop_duplicates(cuts)
    sets = {id(c): runs(marked(c)) for c in cuts}

    def same(one, other):
        return similarity(sets[id(one)], sets[id(other)]) >= THRESHOLD

    assert not any(same(a, b) for i, a in enumerate(kept) for b in kept[:i])
    stayed = {id(c) for c in kept}
    for i, gone in enumerate(cuts):
        if id(gone) not in stayed:
            assert any(same(gone, first) for first in cuts[:i] if id(first) in stayed)
    assert len(kept) + dropped.exact + dropped.near == len(cuts)
