"""The next buffer of a file tells what became of a completion of which nothing was reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.index.corpus.buffer_outcome import (
    LEAST_STEP,
    Buffer,
    BufferOutcome,
    OpenCompletion,
    buffer_outcomes,
)
from git_copilot.index.corpus.outcome import cursor_context

HEAD = "import math\n\n\ndef area(width, height):\n    total = width * height\n"
TAIL = "    return total\n\n\ndef unrelated(value):\n    return math.floor(value)\n"


def cut(text):
    prefix, _, suffix = text.partition("|")
    return prefix, suffix, prefix.count("\n") + 1


def shown(before, completion, **more):
    """A completion at the ``|`` of ``before``, which stands between HEAD and TAIL."""
    return OpenCompletion(
        more.pop("name", "c"), cursor_context(*cut(HEAD + before + TAIL)), completion, **more
    )


def outcomes(now, *completions):
    """What the buffer ``now``, with its cursor at ``|``, says of completions."""
    return buffer_outcomes(Buffer.at_cursor(*cut(now)), completions)


def outcome(before, completion, now, **more):
    """The outcome, the accepted and the typed characters; the buffer is between HEAD and TAIL."""
    found = outcomes(HEAD + now + TAIL, shown(before, completion, **more))
    return [(each.outcome, each.taken, each.typed) for each in found]


@pytest.mark.parametrize(
    ("before", "completion", "now"),
    [
        pytest.param("    area = |\n", "total * 2", "    area = total * 2|\n", id="one line"),
        pytest.param("    area = |\n", "total * 2", "    area = total * 2 + wid|\n", id="the line goes on"),
        pytest.param("    area = max(|)\n", "total, 1", "    area = max(total, 1)\n    |\n", id="in brackets"),
        pytest.param(
            "    |\n", "if total:\n        total += 1", "    if total:\n        total += 1\n    |\n",
            id="several lines",
        ),
        pytest.param(
            "    if total:|\n", "\n        total += 1", "    if total:\n        total += 1\n    |\n",
            id="it begins with a line end",
        ),
        pytest.param(
            "    |\n", "return total\n\n\ndef other():",
            "    return total\n\n\ndef other():|\n", id="what stands below is inserted once more",
        ),
    ],
)  # fmt: skip
def test_a_text_that_stands_there_was_accepted(before, completion, now):
    assert outcome(before, completion, now) == [("accepted", len(completion), 0)]
    moved = HEAD.replace("\n\n\n", "\n\n# a comment\n\n\n") + now + TAIL
    (found,) = outcomes(moved, shown(before, completion))
    assert found.outcome == "accepted", "lines above were inserted"


@pytest.mark.parametrize(
    ("before", "completion", "now"),
    [
        pytest.param("    area = |\n", "total * 2", "    area = |\n", id="nothing has changed"),
        pytest.param("    area = |\n", "total * 2", "    area = \n    |\n", id="the person went elsewhere"),
        pytest.param("    area = max(|total)\n", "total", "    area = max(total)\n|\n", id="it stood there before"),
        pytest.param("    area = |\n", "total * 2", "    area = heig|\n", id="another text is being typed"),
        pytest.param("    |\n", "return width", "|", id="the line was deleted"),
        pytest.param("    if total:|\n", "\n    return total", "    if total:\n|", id="it repeats the next line"),
        pytest.param("    area = |\n", "total * 2", "    size = total * 2\n|", id="the line begins otherwise"),
        pytest.param("    area = |\n", "tot", "    area = total\n|\n", id="it ends within a word"),
        pytest.param("    area = |\n", "total * width", "    area = total + width\n|\n", id="half of it stands there"),
    ],
)  # fmt: skip
def test_what_may_have_another_reason_stays_open(before, completion, now):
    assert outcome(before, completion, now) == []


def test_a_place_that_occurs_twice_stays_open():
    block = "def f():\n    total = 1\n    area = "
    known = OpenCompletion("c", cursor_context(f"{block}", "\n", 3), "total * 2")
    again = f"# one\n{block}total * 2\n\n\n"
    assert [each.outcome for each in outcomes(f"{again}|", known)] == ["accepted"]
    assert outcomes(f"{again}{block}1\n|", known) == []


def test_typing_along_is_told_from_accepting():
    completion = "total * 2"
    typed = 0
    for length in range(1, len(completion)):
        now = f"    area = {completion[:length]}|\n"
        ((said, taken, typed),) = outcome("    area = |\n", completion, now, typed=typed)
        assert (said, taken, typed) == (None, 0, length)
    done = outcome("    area = |\n", completion, f"    area = {completion}|\n", typed=typed)
    assert done == [("typed", 0, 0)]
    # A key accepts the rest at once.
    done = outcome("    area = |\n", completion, f"    area = {completion}|\n", typed=2)
    assert done == [("accepted", len(completion), 0)]
    assert outcome("    area = |\n", "x)", "    area = x)|\n") == [("typed", 0, 0)], "too short"


PARTS = [
    ("    area = |\n", "compute(total) * 2", "    area = compute|\n", "compute"),
    ("    area = max(|)\n", "compute(total), 2", "    area = max(compute|)\n", "compute"),
    ("    |\n", "if total:\n        total += 1", "    if total:|\n", "if total:"),
    ("    |\n", "if total:\n        total += 1\n    pass", "    if total:\n        total += 1|\n",
     "if total:\n        total += 1"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "completion", "now", "part"), PARTS)
def test_whole_words_that_came_at_once_were_accepted_in_part(before, completion, now, part):
    assert outcome(before, completion, now) == [("partial", len(part), len(part))]
    known = {"typed": len(part), "partial": True}
    assert outcome(before, completion, now, **known) == []
    rest = completion[len(part) :]
    whole = now.replace("|", f"{rest}|")
    assert outcome(before, completion, whole, **known) == [("accepted", len(completion), 0)]
    assert outcome(before, completion, now.replace("|", "_other\n|"), **known) == []


def test_a_part_that_was_left_there_was_accepted_and_one_that_was_typed_was_not():
    before, completion = "    area = |\n", "compute(total) * 2"
    left = "    area = compute(total)\n    |\n"
    assert outcome(before, completion, left) == [("partial", 14, 0)]
    assert outcome(before, completion, left, typed=3) == []
    assert outcome(before, completion, left.replace("compute(total)", "comp")) == []


@pytest.mark.parametrize(
    ("completion", "now", "expected"),
    [
        ("total * 2", "    area = height - width\n    |\n", [("rejected", 0, 0)]),
        ("total * width", "    area = total * height\n    |\n", []),
        ("compute(total, width)", "    area = compute(total, height)\n    |\n", []),
        ("compute(total, width) * 2", "    area = compute(total, width) * 3\n    |\n",
         [("edited", 25, 0)]),
        ("if total:\n        total += 1", "    area = None\n    |\n", [("rejected", 0, 0)]),
    ],
)  # fmt: skip
def test_another_text_is_an_edit_or_a_rejection_once_the_person_has_left(completion, now, expected):
    assert outcome("    area = |\n", completion, now) == expected
    assert outcome("    area = |\n", completion, now.replace("\n    |", "|")) == []
    assert outcome("    area = |\n", completion, now, typed=2) == []


def test_one_insertion_is_one_acceptance():
    """Without a cache each key shows a completion of its own, which goes on with the same text."""
    first = shown("    area = |\n", "compute(total)", name="first", typed=2)
    second = shown("    area = co|\n", "mpute(total)", name="second")
    done = outcomes(HEAD + "    area = compute(total)|\n" + TAIL, second, first)
    assert done == [BufferOutcome("second", "accepted", 12), BufferOutcome("first", "typed")]
    part = outcomes(HEAD + "    area = compute(|\n" + TAIL, second, first)
    assert part == [
        BufferOutcome("second", "partial", 6, 6), BufferOutcome("first", None, typed=8),
    ]  # fmt: skip
    line = shown("    |\n", "if total:\n        total += 1", name="line", partial=True, typed=9)
    after = shown("    if total:\n        |\n", "total += 1", name="after")
    both = outcomes(HEAD + "    if total:\n        total += 1|\n" + TAIL, after, line)
    assert [(each.id, each.outcome) for each in both] == [("after", "accepted")]


def test_a_window_of_a_long_file_has_the_right_lines():
    above = "".join(f"x{n} = {n}\n" for n in range(5000))
    known = OpenCompletion("c", cursor_context(*cut(f"{above}value = |\n")), "x4 + x5")
    prefix, suffix, line = cut(f"{above}value = x4 + x5\n|")
    window = prefix[-400:].partition("\n")[2]
    (found,) = buffer_outcomes(Buffer.at_cursor(window, suffix, line), [known])
    assert found.outcome == "accepted"


@given(st.text("ab \n(", max_size=12), st.text("ab \n(", max_size=30), st.integers(0, 30))
def test_a_part_is_a_beginning_of_the_completion(completion, inserted, cursor):
    text = HEAD + "    area = " + inserted[:cursor] + "|" + inserted[cursor:] + "\n" + TAIL
    for each in outcomes(text, shown("    area = |\n", completion)) if completion.strip() else ():
        assert 0 <= each.taken <= len(completion) and 0 <= each.typed < len(completion)
        if each.outcome == "partial":
            assert completion[: each.taken].rstrip() in inserted and each.taken >= LEAST_STEP
