"""From documents to requests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion import feedback
from git_copilot.assistant.lsp import completion_request
from git_copilot.assistant.lsp.completer import client_name, with_selected
from git_copilot.assistant.lsp.completion_request import (
    Asker,
    UnsavedTexts,
    complete_request,
    worktree_of,
)
from git_copilot.assistant.lsp.documents import DocumentStore
from git_copilot.assistant.lsp.items import SelectedEntry
from git_copilot.assistant.lsp.positions import Cursor

ASKER = Asker("me", 3, automatic=False)


@pytest.fixture
def worktree(tmp_path):
    (tmp_path / "w" / ".git").mkdir(parents=True)
    return tmp_path / "w"


@pytest.fixture
def store():
    return DocumentStore()


def opened(store, path, text):
    return store.open(path.as_uri(), text)


def test_a_request_names_the_place_and_has_the_text(worktree):
    path = worktree / "a b.py"
    request = complete_request(path, ["é\n", "xy"], Cursor(1, 1), (), ASKER)
    assert request.location == "a b.py:2:2" and request.cwd == worktree
    assert request.text == "é\nxy".encode()
    assert (request.count, request.automatic, request.client) == (3, False, "me")
    assert CompleteRequest.from_json(request.to_json()) == request


def test_a_file_in_a_folder_that_was_deleted(worktree):
    request = complete_request(worktree / "gone/away/x.py", [""], Cursor(0, 0), (), ASKER)
    assert request.location == "gone/away/x.py:1:1" and request.cwd == worktree


def test_half_a_character_is_replaced(worktree):
    request = complete_request(worktree / "a.py", ["\ud83d"], Cursor(0, 1), (), ASKER)
    assert request.text == b"?"


def test_worktrees_are_found_from_files_that_do_not_exist(worktree, tmp_path):
    assert worktree_of(worktree / "gone/x.py") == worktree
    assert worktree_of(tmp_path / "x.py") is None
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/.git").write_text("gitdir: ../w/.git/worktrees/linked\n")
    assert worktree_of(tmp_path / "linked/x.py") == tmp_path / "linked"


def test_buffers_that_differ_from_their_files_go_along(worktree, store, tmp_path):
    names = ("edited", "same", "bom", "new", "current")
    texts = {name: f"{name} = 1\n" for name in names}
    for name in ("edited", "same", "current"):
        (worktree / f"{name}.py").write_text(texts[name])
    (worktree / "bom.py").write_bytes(b"\xef\xbb\xbf" + texts["bom"].encode())
    for name in names:
        opened(store, worktree / f"{name}.py", texts[name])
    opened(store, worktree / "edited.py", "edited = 2\n")
    opened(store, tmp_path / "elsewhere.py", "other worktree")
    store.open("untitled:1", "no file")
    current = opened(store, worktree / "current.py", "current = 3\n")
    found = UnsavedTexts().beside(current, store)
    assert [(Path(x.path).name, x.text) for x in found] == [
        ("edited.py", "edited = 2\n"),
        ("new.py", "new = 1\n"),
    ]


def test_a_file_is_compared_again_when_it_or_the_buffer_changed(worktree, store, monkeypatch):
    path, reads = worktree / "a.py", []
    path.write_text("a\n")
    real = completion_request._read
    monkeypatch.setattr(completion_request, "_read", lambda p: reads.append(p) or real(p))
    document, current = opened(store, path, "a\n"), opened(store, worktree / "b.py", "")
    unsaved = UnsavedTexts()
    assert unsaved.beside(current, store) == () == unsaved.beside(current, store)
    assert len(reads) == 1
    document.replace(Cursor(0, 1), Cursor(0, 1), "b")
    assert len(unsaved.beside(current, store)) == 1
    path.write_text("ab\n")
    assert unsaved.beside(current, store) == () and len(reads) == 3
    unsaved.forget(document.uri)
    unsaved.beside(current, store)
    assert len(reads) == 4


def test_of_pipes_and_devices_nothing_is_read_and_of_links_the_target(worktree, store):
    os.mkfifo(worktree / "pipe.py")
    (worktree / "zero.py").symlink_to("/dev/zero")
    (worktree / "target.txt").write_text("a\n")
    (worktree / "link.py").symlink_to("target.txt")
    for name in ("pipe.py", "zero.py", "link.py"):
        opened(store, worktree / name, "a\n")
    found = UnsavedTexts().beside(opened(store, worktree / "b.py", ""), store)
    assert [Path(x.path).name for x in found] == ["zero.py", "pipe.py"]


def test_buffers_that_go_along_are_bounded(worktree, store, monkeypatch):
    monkeypatch.setattr(completion_request, "MAX_OPEN_TEXTS", 3)
    monkeypatch.setattr(completion_request, "MAX_TEXT_CHARACTERS", 10)
    monkeypatch.setattr(completion_request, "MAX_ALL_CHARACTERS", 20)
    for number, length in enumerate([5, 5, 5, 5, 8, 11]):
        opened(store, worktree / f"{number}.py", "x" * length)
    current = opened(store, worktree / "current.py", "")
    found = UnsavedTexts().beside(current, store)
    assert [Path(x.path).name for x in found] == ["4.py", "3.py", "2.py"]
    monkeypatch.setattr(completion_request, "MAX_OPEN_TEXTS", 9)
    assert sum(len(x.text) for x in UnsavedTexts().beside(current, store)) <= 20


@pytest.mark.parametrize(
    ("editor", "short"),
    [("Neovim", "lsp/neovim"), ("Visual Studio Code", "lsp/visual.studio.code"), ("", "lsp")],
)
def test_requests_name_the_editor(editor, short):
    assert feedback.client_name(client_name(editor)) == short
    assert client_name(editor) != client_name(editor)


def test_the_selected_entry_of_the_menu_counts_as_taken():
    lines, cursor = with_selected(["a\n", "x.fo()\n"], Cursor(1, 4), SelectedEntry(2, 4, "format"))
    assert lines == ["a\n", "x.format()\n"] and cursor == Cursor(1, 8)
