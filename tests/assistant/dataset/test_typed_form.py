"""Holes as their authors met them: the parent's text behind the cursor, and closed pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from git_copilot.assistant.dataset.cuts import read_cuts
from git_copilot.assistant.dataset.typed_form import is_typed
from git_copilot.index.core.types import BOTH, FINISHED, FORMS, TYPED, Hole
from git_copilot.index.git.repository import GitRepository

OLD = "import os\n\n\ndef one():\n    return 1\n\n\ndef two():\n    return 2\n"
NEW = (
    "import os\nimport re\n\n\ndef one(a):\n    b = call(a, [1, 2]).read()\n    c = [\n        a,\n"
    "        b,\n    ]\n    return c\n\n\ndef two():\n    return 22\n"
)


@pytest.fixture
def history(repo):
    repo.commit({"a.py": OLD, "gone.py": "x = 1\n" * 20})
    repo.commit({"a.py": NEW, "new.py": "def three():\n    return compute(3)\n"})
    return repo, GitRepository.discover(repo.path)


def hole_at(history, text, size, path="a.py", whole=NEW):
    repo, _ = history
    commit = repo.git("rev-parse", "HEAD").strip()
    blob = repo.git("rev-parse", f"HEAD:{path}").strip()
    start = whole.index(text) + len(text)
    return Hole(commit, blob, path, start, start + size, "line", "", 0, "python")


def typed_cut(history, *arguments, **more):
    """The cut of a hole at which no pair is closed."""
    (cut,) = read_cuts(history[1], [hole_at(history, *arguments, **more)], TYPED)
    assert cut.closers == ""
    return cut


def test_what_the_commit_wrote_behind_the_cursor_is_not_there(history):
    cut = typed_cut(history, "b = ", 4)
    assert cut.prefix.endswith("def one(a):\n    b = ")
    assert cut.middle == "call(a, [1, 2]).read()"
    assert cut.suffix == "\n\n\ndef two():\n    return 2\n"


def test_a_line_before_the_hunk_keeps_the_parents_rest(history):
    cut = typed_cut(history, "import r", 1)
    assert cut.middle == "e"
    assert cut.suffix == "\n" + OLD.partition("\n")[2]


def test_a_statement_goes_on_to_its_end(history):
    cut = typed_cut(history, "    c = ", 1)
    assert cut.middle == "[\n        a,\n        b,\n    ]"


def test_the_finished_form_is_the_file_itself(history):
    hole = hole_at(history, "b = ", 4)
    (cut,) = read_cuts(history[1], [hole], FINISHED)
    assert cut.prefix + cut.middle + cut.suffix == NEW and cut.closers == ""


def test_a_created_file_has_nothing_behind_the_cursor(history):
    whole = "def three():\n    return compute(3)\n"
    cut = typed_cut(history, "return ", 3, path="new.py", whole=whole)
    assert cut.middle == "compute(3)" and cut.suffix == ""


def pick_paired(history, text, size):
    """A hole whose choice fell on closed pairs."""
    for end in range(size, size + 30):
        hole = hole_at(history, text, end)
        (cut,) = read_cuts(history[1], [hole], TYPED)
        if cut.closers:
            return cut
    raise AssertionError("no pair was closed")


def test_closed_pairs_stand_apart_from_the_suffix(history):
    cut = pick_paired(history, "call(", 1)
    assert cut.closers == ")" and cut.middle.startswith("a, [1, 2])")
    assert cut.inside(cut.middle) == "a, [1, 2]"
    assert cut.suffix.startswith("\n\n\ndef two")


def test_half_of_the_holes_are_typed_where_both_forms_are_wanted(history):
    holes = [hole_at(history, "import o", size) for size in range(1, 60)]
    counts = Counter(is_typed(hole, BOTH) for hole in holes)
    assert min(counts.values()) > 15
    assert all(is_typed(hole, TYPED) and not is_typed(hole, FINISHED) for hole in holes)
    assert FORMS == (TYPED, FINISHED, BOTH)


def test_a_hole_that_no_patch_explains_stays_finished(history):
    repo, found = history
    hole = hole_at(history, "b = ", 4)
    first = repo.git("rev-list", "--max-parents=0", "HEAD").strip()
    (cut,) = read_cuts(found, [replace(hole, commit=first, path="other.py")], TYPED)
    assert cut.suffix.endswith("return 22\n")


def test_a_renamed_file_keeps_the_parents_text(history):
    repo, found = history
    text = "x = 1\n" * 20
    repo.git("rm", "-q", "gone.py")
    repo.commit({"moved.py": "y = sum(values)\n" + text})
    commit = repo.git("rev-parse", "HEAD").strip()
    blob = repo.git("rev-parse", "HEAD:moved.py").strip()
    (cut,) = read_cuts(found, [Hole(commit, blob, "moved.py", 4, 7, "line", "", 0)], TYPED)
    assert cut.suffix.rstrip() == ("\n" + text).rstrip()
