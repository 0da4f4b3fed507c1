"""`--write` inserts the completion at the cursor and keeps the rest of the file."""

from __future__ import annotations

import os
import stat

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.write_file import write_completion
from git_copilot.index.core.errors import CopilotError


def place_at(repo, location):
    return find_place(CompleteRequest(location, repo.path))


@pytest.mark.parametrize(
    ("before", "location", "completion", "after"),
    [
        (b"a = \nb\n", "f.py:1", "1", b"a = 1\nb\n"),
        (b"a = \r\nb\r\n", "f.py:1", "(\r\n  1)", b"a = (\r\n  1)\r\nb\r\n"),
        (b"\xef\xbb\xbfa = \n", "f.py:1:5", "1", b"\xef\xbb\xbfa = 1\n"),
        (b"\xef\xbb\xbfa\n", "f.py:1:1", "x", b"\xef\xbb\xbfxa\n"),
        (b"no end", "f.py:1", "!", b"no end!"),
        (b"", "f.py:1", "x = 1", b"x = 1"),
        ("gr\xf6\xdfe = \n".encode("latin-1"), "f.py:1", "'\xe4'", "gr\xf6\xdfe = '\xe4'\n".encode("latin-1")),
        ("s = “ö” + \n".encode("cp1252"), "f.py:1", "“€”", "s = “ö” + “€”\n".encode("cp1252")),
        ("# größe\ns = ".encode() + b"'\xe9\xff' + \n", "f.py:2:6", "ß", None),
        ("# größe\ns = ".encode() + b"'\xe9\xff' + \n", "f.py:2:8", "ß", None),
        ("x = '👩‍👩‍👧e\u0301' + \n".encode(), "f.py:1:14", "'y'", None),
    ],
)  # fmt: skip
def test_writing_keeps_the_rest_of_the_file(repo, before, location, completion, after):
    (repo.path / "f.py").write_bytes(before)
    (repo.path / "f.py").chmod(0o750)
    place = place_at(repo, location)
    write_completion(place, completion)
    offset = place.document.offset
    expected = before[:offset] + completion.encode(place.document.encoding) + before[offset:]
    assert (repo.path / "f.py").read_bytes() == expected == (after or expected)
    assert stat.S_IMODE((repo.path / "f.py").stat().st_mode) == 0o750
    assert [p.name for p in repo.path.iterdir() if p.name != ".git"] == ["f.py"]


def test_a_file_changed_meanwhile_is_not_overwritten(repo):
    (repo.path / "f.py").write_text("a = \n")
    place = place_at(repo, "f.py:1")
    (repo.path / "f.py").write_text("a = 2\n")
    with pytest.raises(CopilotError, match="changed meanwhile"):
        write_completion(place, "1")
    assert (repo.path / "f.py").read_text() == "a = 2\n"


def test_a_read_only_file_is_refused(repo, monkeypatch):
    file = repo.path / "f.py"
    file.write_bytes(b"a = \n")
    file.chmod(0o444)
    # Whoever runs the tests may be root, to whom every file is writable.
    asked = lambda path, mode, **_: bool(file.stat().st_mode & 0o200) or mode != os.W_OK
    monkeypatch.setattr(os, "access", asked)
    with pytest.raises(CopilotError, match="is read-only"):
        write_completion(place_at(repo, "f.py:1"), "1")
    assert file.read_bytes() == b"a = \n"


def test_text_that_the_files_encoding_lacks_is_refused(repo):
    data = "größe = \n".encode("latin-1")
    (repo.path / "f.py").write_bytes(data)
    with pytest.raises(CopilotError, match="not UTF-8"):
        write_completion(place_at(repo, "f.py:1"), "'漢'")
    assert (repo.path / "f.py").read_bytes() == data
    assert {p.name for p in repo.path.iterdir()} == {".git", "f.py"}


def test_writing_through_a_link_keeps_the_link(repo):
    (repo.path / "real.py").write_text("a = \n")
    (repo.path / "link.py").symlink_to("real.py")
    write_completion(place_at(repo, "link.py:1"), "1")
    assert (repo.path / "link.py").is_symlink()
    assert (repo.path / "real.py").read_text() == "a = 1\n"
