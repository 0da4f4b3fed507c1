"""Definitions as a caller sees them."""

from __future__ import annotations

import pytest

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.signatures import Signature, module_path, signatures
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync


@pytest.mark.parametrize(
    ("path", "language", "wanted"),
    [
        ("src/shop/cart.py", "python", "shop.cart"),
        ("shop/__init__.py", "python", "shop"),
        ("setup.py", "python", "setup"),
        ("src/net/mod.rs", "rust", "net"),
        ("web/app/index.ts", "typescript", "web/app"),
    ],
)
def test_module_paths_are_derived_from_file_paths(path, language, wanted):
    assert module_path(path, language) == wanted


def test_signatures_come_from_definitions_of_the_view(repo, tmp_path):
    cart = (
        'class Cart:\n    """Holds items."""\n\n    def add(self, item, count=1):\n        pass\n'
    )
    repo.commit({"src/shop/cart.py": cart, "old.py": "def add(a, b):\n    return a + b\n"})
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        git = GitRepository.discover(repo.path)
        sync(git, db, None)
        repo.git("rm", "-q", "old.py")
        repo.commit({})
        sync(git, db, None)
        path = "src/shop/cart.py"
        assert signatures(db, "", ["add", "Cart", "add", "none"]) == [
            Signature("add", "function", "def add(self, item, count=1):", "", "shop.cart.Cart", path, 4),
            Signature("Cart", "class", "class Cart:", "Holds items.", "shop.cart", path, 1),
        ]  # fmt: skip
