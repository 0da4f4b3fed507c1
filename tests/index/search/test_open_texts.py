"""Texts that an editor has open are searched in place of their files, by the index's rules."""

from __future__ import annotations

import pytest

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.search import open_texts
from git_copilot.index.search.open_texts import OpenTexts
from git_copilot.index.search.overlay import EMPTY_OVERLAY, Overlay
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.forget import forget

SAVED = "def saved(value):\n    return value\n\n\ndef other():\n    pass\n"


@pytest.fixture
def opened(repo):
    repo.commit({"src/a.py": SAVED, "crlf.py": SAVED.replace("\n", "\r\n"), ".gitattributes":
                 "private.py -copilot\n"})  # fmt: skip
    found = GitRepository.discover(repo.path)
    trust_repository(found.state_dir)
    with Database(found.state_dir / DATABASE_NAME, create=True) as db:
        yield repo, found, db


def names(overlay):
    return sorted(overlay.files)


def lay(opened, *texts, overlay=EMPTY_OVERLAY):
    _, found, db = opened
    return OpenTexts(found, db).over(overlay, texts, found.head_tree_or_empty())


def test_a_changed_text_takes_the_place_of_its_file(opened):
    overlay = lay(opened, ("src/a.py", "def changed():\n    pass\n"))
    assert "changed" in overlay.files["src/a.py"].chunks[0].text


LONG = "".join(f"def number_{i}():\n    return {i}\n\n\n" for i in range(40))


def test_a_changed_part_leaves_the_rest_of_its_file(opened):
    opened[0].commit({"src/long.py": LONG})
    lines = LONG.split("\n")[40:80]
    lines[20] = "def renamed():"
    overlay = lay(opened, ("src/long.py", "\n".join(lines)))
    found = "".join(chunk.text for chunk in overlay.files["src/long.py"].chunks)
    assert "renamed" in found and "number_15" not in found
    assert all(f"number_{i}()" in found for i in (0, 9, 10, 14, 16, 20, 39))


def test_a_text_whose_ends_are_changed_takes_the_place_of_its_file(opened):
    opened[0].commit({"src/long.py": LONG})
    text = "def first():\n    return 'one'\n" + LONG[200:400] + "def last():\n    return 'two'\n"
    found = lay(opened, ("src/long.py", text)).files["src/long.py"].chunks
    assert "number_39" not in "".join(chunk.text for chunk in found)


def test_an_absolute_path_is_that_of_the_worktree(opened):
    repo = opened[0]
    overlay = lay(
        opened, (str(repo.path / "src/a.py"), "def changed(): ...\n"), ("/x/y.py", "y = 1\n")
    )
    assert names(overlay) == ["src/a.py"]


@pytest.mark.parametrize(
    ("path", "text"),
    [("src/a.py", SAVED), ("src/a.py", "def other():\n    pass\n"), ("crlf.py", SAVED),
     ("src/a.py", SAVED.replace("\n", "\r\n"))],
)  # fmt: skip
def test_a_text_that_is_saved_changes_nothing(opened, path, text):
    assert names(lay(opened, (path, text))) == []


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "private.py",
        "node_modules/x.js",
        "../up.py",
        ".git/config",
        "",
        ".",
        "package-lock.json",
    ],
)
def test_what_the_index_leaves_out_is_left_out(opened, path):
    assert names(lay(opened, (path, "key = 'value of it'\n"))) == []


def test_what_is_forgotten_is_left_out(opened):
    _, _, db = opened
    forget(db, "path", "src/a.py")
    assert names(lay(opened, ("src/a.py", "def changed(): ...\n"))) == []


def test_a_new_file_that_git_does_not_track_is_not_read(opened):
    repo = opened[0]
    repo.write({"new.py": SAVED})
    # It is as on disk, and would change nothing if the file had been read.
    assert names(lay(opened, ("new.py", SAVED))) == ["new.py"]


def test_what_is_uncommitted_elsewhere_stays(opened):
    overlay = lay(opened, ("b.py", "b = 1\n"), overlay=Overlay({"gone.py": None}))
    assert names(overlay) == ["b.py", "gone.py"]


def test_number_and_size_are_bounded(opened, monkeypatch):
    monkeypatch.setattr(open_texts, "MAX_TEXTS", 3)
    monkeypatch.setattr(open_texts, "MAX_FILE_BYTES", 1000)
    texts = [*((f"{n}.py", "value = 1\n") for n in range(9)), ("large.py", "x" * 1001)]
    assert names(lay(opened, *texts)) == ["7.py", "8.py"]


def test_secrets_of_a_text_are_not_searched(opened):
    key = "AKIA" + "Q3EXAMPLE7ZT5KQW"
    overlay = lay(opened, ("conf.py", f'aws_key = "{key}"\nplain = 1\n'))
    assert all(key not in chunk.text for chunk in overlay.files["conf.py"].chunks)
