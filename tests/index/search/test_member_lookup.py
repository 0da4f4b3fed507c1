"""The names of modules and classes, from the index and from installed packages."""

from __future__ import annotations

import pytest

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.member_lookup import MemberLookup, installed_names
from git_copilot.index.search.overlay import EMPTY_OVERLAY, Overlay, chunk_uncommitted
from git_copilot.index.store.database import Database
from git_copilot.index.sync.sync import sync

CART = "LIMIT = 3\n\n\nclass Cart:\n    size = 1\n\n    def add(self):\n        pass\n\n\ndef new():\n    pass\n"


@pytest.fixture
def lookup(repo, tmp_path):
    repo.commit({"src/shop/cart.py": CART, "src/shop/__init__.py": "def open_shop():\n    pass\n"})
    found = GitRepository.discover(repo.path)
    with Database(tmp_path / "x.db", create=True) as db:
        sync(found, db, None)
        found_lookup = MemberLookup(db, found.view_name, found.root)
        found_lookup.sync = lambda: sync(found, db, None)
        yield found_lookup


def test_a_module_of_the_repository(lookup):
    assert set(lookup.of_module("shop.cart", EMPTY_OVERLAY)) == {"LIMIT", "Cart", "new"}
    assert lookup.of_module("shop", EMPTY_OVERLAY) == ("open_shop",)
    assert lookup.of_module("no.such.module", EMPTY_OVERLAY) == ()


def test_modules_are_those_of_the_tree_that_is_indexed_now(lookup, repo):
    assert lookup.of_module("shop.till", EMPTY_OVERLAY) == ()
    repo.commit({"src/shop/till.py": "def pay():\n    pass\n"})
    repo.git("rm", "-q", "src/shop/cart.py")
    repo.commit({})
    lookup.sync()
    assert lookup.of_module("shop.till", EMPTY_OVERLAY) == ("pay",)
    assert lookup.of_module("shop.cart", EMPTY_OVERLAY) == ()


def test_a_class_of_the_repository(lookup):
    assert set(lookup.of_class("Cart", EMPTY_OVERLAY)) == {"size", "add"}
    assert lookup.of_class("Basket", EMPTY_OVERLAY) == ()


def test_an_unsaved_module_hides_the_committed_one(lookup):
    edited = chunk_uncommitted("src/shop/cart.py", b"def other():\n    pass\n")
    overlay = Overlay({"src/shop/cart.py": edited})
    assert lookup.of_module("shop.cart", overlay) == ("other",)


def test_packages_of_the_projects_environment_are_read_and_not_run(tmp_path, monkeypatch):
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    site = tmp_path / ".venv/lib/python3.12/site-packages/pkg"
    site.mkdir(parents=True)
    (site / "__init__.py").write_text(
        "import sys\nraise SystemExit\n_hidden = 1\ntry:\n    from a import b as c\nexcept E:\n    c = None\n"
        "def run(): ...\nX: int = 1\n"
    )
    assert installed_names("pkg", tmp_path) == ("sys", "run", "X", "c", "_hidden")
    (site / "broken.py").write_text("def (:\n")
    assert installed_names("pkg.broken", tmp_path) == ()


def test_the_standard_library(tmp_path):
    assert {"loads", "dumps"} <= set(installed_names("json", tmp_path))
    assert installed_names("json.no_such_part", tmp_path) == ()
