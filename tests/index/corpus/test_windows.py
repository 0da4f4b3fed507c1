"""Passages of files: together they are the file, and at the end of each stands a hole."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from git_copilot.index.corpus.windows import PASSAGE, WINDOW, cut_windows, snapshot_windows
from git_copilot.index.git.repository import GitRepository

CODE = "".join(
    f"def function_{i}(value):\n    total = value * {i}\n    return total\n\n\n" for i in range(300)
)


def middles(text, seed="s"):
    data = text.encode()
    return [data[s.start : s.end].decode() for s in cut_windows(data, seed)]


def test_a_passage_apart_and_each_a_rest_of_a_line():
    data = CODE.encode()
    spans = cut_windows(data, "s")
    ends = [span.end for span in spans]
    assert abs(len(CODE) / PASSAGE - len(spans)) <= 1
    assert all(later - end < PASSAGE + 100 for end, later in itertools.pairwise(ends))
    assert ends[-1] == len(CODE.rstrip())  # nothing is left over at the end
    for span in spans:
        assert span.kind == WINDOW
        middle = data[span.start : span.end].decode()
        assert middle == middle.rstrip() != ""
        assert data[span.end : span.end + 1] in (b"\n", b"")
        assert middle.count("\n") < 3


def test_the_choice_depends_on_the_seed_alone():
    assert middles(CODE) == middles(CODE)
    assert middles(CODE) != middles(CODE, "other")


def test_short_empty_and_blank_files():
    assert middles("") == middles("\n\n  \n") == []
    (only,) = middles("import sys\n")
    assert "import sys".endswith(only)


def test_what_is_not_utf8_is_left_out():
    assert cut_windows(CODE.encode() + b"\xff", "s") == []


@given(st.text(st.sampled_from("aé漢 \n\t(;")), st.integers(0, 3))
def test_spans_are_disjoint_and_cut_no_character(text, seed):
    data, last = (text * 40).encode(), 0
    for span in cut_windows(data, str(seed)):
        assert last <= span.start < span.end <= len(data)
        data[: span.start].decode()
        data[: span.end].decode()
        last = span.end


def test_holes_of_a_tree_without_secrets_and_data(repo):
    repo.commit({
        "src/a.py": CODE, "README.md": CODE, "data.py": f"TABLE = [{'1, ' * 3000}]\n",
        "keys.py": 'KEY = "AKIAIOSFODNN7EXAMPLE" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"\n',
    })  # fmt: skip
    found = list(snapshot_windows(GitRepository.discover(repo.path), "HEAD", time=7))
    assert {hole.path for hole in found} == {"src/a.py"}
    assert {(hole.kind, hole.author, hole.time, hole.language) for hole in found} == {
        (WINDOW, "", 7, "python")
    }
