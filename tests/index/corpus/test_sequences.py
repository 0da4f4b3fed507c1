"""Sequences cover a file, each of whole lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from git_copilot.index.corpus.windows import SEQUENCE, cut_sequences, snapshot_windows
from git_copilot.index.git.repository import GitRepository

CODE = "".join(f"def function_{i}(value):\n    return value * {i}\n\n\n" for i in range(200))


def parts(text, characters):
    data = text.encode()
    return [data[s.start : s.end].decode() for s in cut_sequences(data, characters)]


@given(st.text(alphabet="ab é\n\r\x0c", max_size=300), st.integers(1, 60))
def test_together_they_are_the_file_but_for_what_is_blank(text, characters):
    found = parts(text, characters)
    position = 0
    for part in found:
        begin = text.index(part, position)
        assert not text[position:begin].strip()
        assert part.strip()
        position = begin + len(part)
    assert not text[position:].strip()


def test_each_is_of_whole_lines_and_about_as_long_as_asked():
    found = parts(CODE, 1000)
    assert "".join(found) == CODE
    assert all(part.endswith("\n") for part in found)
    assert all(1000 <= len(part) < 1040 for part in found[:-1])
    assert len(found[-1]) < 1040


def test_what_is_not_utf8_is_left_out():
    assert cut_sequences(CODE.encode() + b"\xff", 100) == []


def test_sequences_of_a_tree_without_secrets(repo):
    secret = 'KEY = "AKIAIOSFODNN7EXAMPLE" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"\n'
    repo.commit({"a.py": CODE, "README.md": CODE, "b.py": CODE + secret})
    holes = list(snapshot_windows(GitRepository.discover(repo.path), "HEAD", characters=2000))
    assert {hole.kind for hole in holes} == {SEQUENCE}
    sizes = {
        path: sum(h.end - h.start for h in holes if h.path == path) for path in ("a.py", "b.py")
    }
    assert sizes["a.py"] == len(CODE)
    assert len(CODE) - 2100 < sizes["b.py"] < len(CODE)  # without the one that has the secret
    assert {hole.path for hole in holes} == {"a.py", "b.py"}
