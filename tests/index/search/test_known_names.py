"""Which identifiers a repository has."""

from __future__ import annotations

import pytest

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.code_search import CodeSearch
from git_copilot.index.search.overlay import Overlay, chunk_uncommitted
from git_copilot.index.store.database import Database
from git_copilot.index.sync.sync import sync


@pytest.fixture
def searcher(repo, tmp_path):
    repo.commit({"a.py": "def open_shop(owner):\n    return Basket(owner)\n"})
    found = GitRepository.discover(repo.path)
    with Database(tmp_path / "x.db", create=True) as db:
        sync(found, db, None)
        yield CodeSearch(db, found.view_name, None)


def test_identifiers_of_the_view_and_of_uncommitted_files(searcher):
    names = ["open_shop", "Basket", "BASKET", "owner", "return", "Cart", "shops"]
    assert searcher.known(names) == {"open_shop", "Basket", "BASKET", "owner", "return"}
    overlay = Overlay({"b.py": chunk_uncommitted("b.py", b"class Cart:\n    pass\n")})
    assert "Cart" in searcher.known(names, overlay)
    assert searcher.defined(names) == {"open_shop"}
    assert searcher.defined(names, overlay) == {"open_shop", "Cart"}


def test_nothing_is_unknown_before_the_first_index(tmp_path):
    with Database(tmp_path / "y.db", create=True) as db:
        assert CodeSearch(db, "worktree", None).known(["Cart"]) == {"Cart"}
