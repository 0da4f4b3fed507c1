"""Feedback becomes an example when a commit shows what was written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.index.corpus import feedback_outcomes, harvest
from git_copilot.index.corpus.cuts import Span
from git_copilot.index.corpus.feedback_statistics import counts
from git_copilot.index.corpus.feedback_store import feedback_weights
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.outcome import BlobLines, cursor_context, find_outcome
from tests.support.shown_completions import (
    HEAD,
    TAIL,
    feedback_examples,
    feedback_ids,
    record_completion,
)

ACCEPTED = [
    # buffer with the cursor, completion, what is committed, the middle, its weight
    pytest.param("    area = |\n", "total * 2", "    area = total * 2\n", "total * 2", 1.0, id="kept"),
    pytest.param(
        "    area = |\n", "total * 2", "    area = total * 2 + width\n", "total * 2", 1.0,
        id="kept, and the line goes on",
    ),
    pytest.param(
        "    area = |\n", "to", "    area = total(width)\n", "total(width)", 1.5,
        id="only part of a word is left of it",
    ),
    pytest.param(
        "    area = |\n", "total * 2", "    area = height - width\n", "height - width", 1.5,
        id="rewritten",
    ),
    pytest.param(
        "    area = max(|)\n", "total, 1", "    area = max(total, width)\n", "total, width", 1.5,
        id="up to the bracket behind the cursor",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1\n", "    if total:\n        total += 1\n",
        "if total:\n        total += 1", 1.0, id="several lines kept",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1\n",
        "    if width:\n        total -= height\n    print(total)\n    print(width)\n",
        "if width:\n        total -= height\n    print(total)", 1.5,
        id="several lines rewritten, three are taken",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1\n", "    total += bool(total)\n",
        "total += bool(total)", 1.5, id="up to the line that stood below",
    ),
    pytest.param(
        "    if total:|\n", "\n        total += 1", "    if total:\n        total += 1\n",
        "\n        total += 1", 1.0, id="begins with a line end",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1", "    if total: \n        total += 1\t\n",
        "if total: \n        total += 1", 1.0, id="space at line ends does not matter",
    ),
    pytest.param(
        "    |\n", "if total:  \n\t\n        total += 1", "    if total:\n\n        total += 1\n",
        "if total:\n\n        total += 1", 1.0, id="nor what of it was taken away",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1", "    total = 1\n\n    \n", "total = 1", 1.5,
        id="without blank lines at the end",
    ),
    pytest.param(
        "    |\n", "area = total", "    height += 1\n    area = total\n", "area = total", 1.0,
        id="kept below a line that came later",
    ),
]  # fmt: skip


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(("line", "completion", "written", "middle", "weight"), ACCEPTED)
def test_an_accepted_completion_becomes_an_example_of_the_committed_text(
    repo, opened_repo, line, completion, written, middle, weight, newline
):
    git, db = opened_repo
    repo.commit({"a.py": (HEAD + TAIL).replace("\n", newline)})
    mine(git, db)
    record_completion(db, HEAD + line + TAIL, completion)
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    oid = repo.commit({"a.py": (HEAD + written + TAIL).replace("\n", newline)})
    mine(git, db)
    before = line.partition("|")[0]
    assert feedback_examples(git, db) == {oid: [(middle.replace("\n", newline), weight, before)]}
    assert counts(db)["examples"] == 1 and counts(db)["pending"] == 0


@pytest.mark.parametrize(("line", "completion", "written", "middle", "weight"), ACCEPTED)
def test_a_completion_in_a_new_file_becomes_an_example(
    repo, opened_repo, line, completion, written, middle, weight
):
    git, db = opened_repo
    record_completion(db, HEAD + line + TAIL, completion)
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    repo.commit({})
    oid = repo.commit({"a.py": HEAD + written + TAIL})
    mine(git, db)
    assert feedback_examples(git, db) == {oid: [(middle, weight, line.partition("|")[0])]}


def test_an_edited_completion_ends_at_the_reported_text_if_committed(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_outcomes.record_outcome(db, "c1", "edited", "total * 3\r\n    area -= 1")
    oid = repo.commit({"a.py": HEAD + "    area = total * 3\n    area -= 1  # why\n" + TAIL})
    mine(git, db)
    assert feedback_examples(git, db) == {oid: [("total * 3\n    area -= 1", 1.5, "    area = ")]}


def test_a_rejected_completion_becomes_an_example_of_what_was_written(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    record_completion(db, HEAD + "    area = total * 2\n    other = |\n" + TAIL, "width", name="c2")
    for name in ("c1", "c2"):
        feedback_outcomes.record_outcome(db, name, "rejected")
    oid = repo.commit({"a.py": HEAD + "    area = total * 2\n    other = height + 1\n" + TAIL})
    mine(git, db)
    # The first was rejected, and then written all the same: the model was right.
    assert feedback_examples(git, db) == {
        oid: [("total * 2", 1.0, "    area = "), ("height + 1", 1.5, "    other = ")]
    }


def test_a_completion_without_an_outcome_gives_no_example(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    assert feedback_examples(git, db) == {} and feedback_ids(db) == ["c1"]


def test_multibyte_characters_before_the_cursor_shift_no_offset(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": "\ufeff" + HEAD + TAIL})
    record_completion(db, HEAD + "    größe = 'ü€😀' + |\n" + TAIL, "str(total)")
    record_completion(db, "größe = |\n" + HEAD + TAIL, "größer(3)", name="c2")
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    feedback_outcomes.record_outcome(db, "c2", "accepted")
    text = "\ufeffgröße = größer(3)\n" + HEAD + "    größe = 'ü€😀' + str(total)\n" + TAIL
    oid = repo.commit({"a.py": text})
    mine(git, db)
    assert feedback_examples(git, db) == {
        oid: [
            ("größer(3)", 1.0, "\ufeffgröße = "),
            ("str(total)", 1.0, "    größe = 'ü€😀' + "),
        ]
    }


def test_two_completions_at_one_place_give_one_example(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "height")
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2", name="c2")
    feedback_outcomes.record_outcome(db, "c1", "rejected")
    feedback_outcomes.record_outcome(db, "c2", "accepted")
    oid = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    # One example; the model was wrong there once.
    assert feedback_examples(git, db) == {oid: [("total * 2", 1.5, "    area = ")]}
    assert counts(db)["examples"] == 1 and counts(db)["pending"] == 0


def test_inserted_lines_and_duplicate_lines_do_not_misplace_an_example(repo, opened_repo):
    git, db = opened_repo
    block = "def {0}(item):\n    kind = item.kind\n    result = |\n    return result\n\n\n"
    repo.commit({"a.py": HEAD + TAIL})
    names = ("alpha", "beta", "gamma")
    buffer = HEAD + TAIL + "".join(block.format(n) for n in names)
    marked = buffer.replace("|", "None", 1).replace("|", "\0", 1).replace("|", "None")
    record_completion(db, marked.replace("\0", "|"), "load(kind)")
    feedback_outcomes.record_outcome(db, "c1", "rejected")
    written = marked.replace("\0", "dump(kind)")
    oid = repo.commit({"a.py": '"""New."""\n' + "\n".join(["A = 1"] * 30) + "\n" + written})
    mine(git, db)
    assert feedback_examples(git, db) == {oid: [("dump(kind)", 1.5, "    result = ")]}


def test_of_identical_places_the_nearest_is_taken(repo, opened_repo):
    git, db = opened_repo
    block = (
        "    kind = item.kind\n    first = kind.first\n    other = kind.other\n    result = {}\n"
    )
    repo.commit({"a.py": HEAD + TAIL})
    lines = [block.format(name) for name in ("one(kind)", "two(kind)", "three(kind)", "four(kind)")]
    buffer = HEAD + lines[0] + block.format("|") + lines[2] + lines[3] + TAIL
    record_completion(db, buffer, "load(kind)")
    feedback_outcomes.record_outcome(db, "c1", "rejected")
    oid = repo.commit({"a.py": HEAD + "".join(lines) + TAIL})
    mine(git, db)
    assert feedback_examples(git, db) == {oid: [("two(kind)", 1.5, "    result = ")]}


def test_the_rejected_text_elsewhere_in_the_file_is_not_matched(repo, opened_repo):
    git, db = opened_repo
    block = "def {}(kind):\n    x = {}\n    return x\n\n\n"
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(
        db, HEAD + TAIL + block.format("a", "load(kind)") + block.format("b", "|"), "load(kind)"
    )
    feedback_outcomes.record_outcome(db, "c1", "rejected")
    written = block.format("a", "load(kind)") + block.format("b", "dump(kind)")
    oid = repo.commit({"a.py": HEAD + TAIL + written})
    mine(git, db)
    assert feedback_examples(git, db) == {oid: [("dump(kind)", 1.5, "    x = ")]}


def test_a_mined_hole_at_the_same_place_becomes_the_feedback_hole(repo, opened_repo, monkeypatch):
    git, db = opened_repo
    start = len((HEAD + "    area = ").encode())
    span = Span(start, start + len("total * 2"), "line")
    monkeypatch.setattr(harvest, "choose_spans", lambda *given: [span])
    repo.commit({})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    oid = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    (hole,) = load_holes(db, [oid])
    assert (hole.start, hole.end, hole.kind) == (span.start, span.end, "completion")
    assert feedback_weights(db, [hole.id]) == {hole.id: 1.0}


LINES = st.sampled_from(
    ["", "x = call(a, b)", "    return é + 'ü'", "\t\tif a:", "}", "    ", "def f(a):", "    b = 1"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(LINES, min_size=1, max_size=12),
    st.data(),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_an_example_always_starts_right_after_the_cursor_line_prefix(lines, data, newline, taken):
    """Whatever is committed: the span is at a place that reads as the cursor's line did, in or
    next to an added line, at whole characters and line ends; and what is said to be unchanged is
    what was shown."""
    row = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[row])))
    completion = "\n".join(data.draw(st.lists(LINES, min_size=1, max_size=3)))
    buffer_prefix = "\n".join([*lines[:row], lines[row][:column]])
    buffer_suffix = "\n".join([lines[row][column:], *lines[row + 1 :]])
    spot = cursor_context(buffer_prefix, buffer_suffix, row + 1)
    kept = data.draw(st.sampled_from([completion, data.draw(LINES), ""]))
    written = (buffer_prefix + kept + buffer_suffix).split("\n")
    written[row:row] = data.draw(st.lists(LINES, max_size=2))
    blob = newline.join(written).encode()
    added = data.draw(st.sets(st.integers(1, len(written))))
    text = BlobLines(blob)
    found = find_outcome(text, [(n, 1) for n in sorted(added)], spot, completion, accepted=taken)
    if found is None:
        return
    prefix, middle, suffix = blob[: found.start], blob[found.start : found.end], blob[found.end :]
    assert prefix.decode().rpartition("\n")[2] == spot.before
    first = prefix.count(b"\n") + 1
    assert added & {first, first + 1}
    assert not (prefix.endswith(b"\r") or middle.endswith((b"\r", b"\n")))
    assert not (suffix.startswith(b"\n") and newline == "\r\n")
    if not found.changed:
        same = [line.rstrip() for line in middle.decode().split(newline)]
        assert same == [line.rstrip() for line in completion.rstrip().split("\n")]
