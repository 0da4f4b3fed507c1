"""The environment of processes that hold a model."""

from __future__ import annotations

import os

from git_copilot.assistant.core.process import (
    LARGE_PAGES,
    forget_large_pages,
    with_large_pages,
)


def test_large_pages_are_asked_for_once_and_keep_other_tunables():
    assert with_large_pages({"A": "1"}) == {"A": "1", "GLIBC_TUNABLES": LARGE_PAGES}
    other = with_large_pages({"GLIBC_TUNABLES": "glibc.malloc.check=1"})
    assert other["GLIBC_TUNABLES"] == f"glibc.malloc.check=1:{LARGE_PAGES}"
    assert with_large_pages(other) == other
    refused = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}
    assert with_large_pages(refused) == refused


def test_children_do_not_inherit_large_pages(monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", f"glibc.malloc.check=1:{LARGE_PAGES}")
    forget_large_pages()
    assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.check=1"
    monkeypatch.setenv("GLIBC_TUNABLES", LARGE_PAGES)
    forget_large_pages()
    assert "GLIBC_TUNABLES" not in os.environ
