"""Files that changed together are partners, as far as the ancestors of a commit tell."""

from __future__ import annotations

import pytest

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.search import cochange
from git_copilot.index.search.cochange import FILE_NAME, CoChange


@pytest.fixture
def history(repo):
    """Three commits: a with b, a with b and c, a alone."""
    oids = [
        repo.commit({"a.py": "1\n", "b.py": "1\n"}),
        repo.commit({"a.py": "2\n", "b.py": "2\n", "größe\n.py": "2\n"}),
        repo.commit({"a.py": "3\n"}),
    ]
    found = GitRepository.discover(repo.path)
    trust_repository(found.state_dir)
    return found, oids


def test_the_strongest_partner_scores_one_and_the_others_less(history):
    repo, oids = history
    assert CoChange(repo).partners(oids[-1], "a.py") == pytest.approx(
        {"b.py": 1.0, "größe\n.py": 0.5 / 1.5}
    )
    assert CoChange(repo).partners(oids[-1], "new.py") == {}


def test_nothing_newer_than_the_commit_counts(history):
    repo, oids = history
    together = CoChange(repo)
    assert "größe\n.py" in together.partners(oids[2], "a.py")
    assert together.partners(oids[0], "a.py") == {"b.py": 1.0}
    assert together.partners("no-such-commit", "a.py") == {}


def test_sweeping_commits_are_ignored(history, monkeypatch):
    repo, oids = history
    monkeypatch.setattr(cochange, "MAX_FILES", 2)
    assert CoChange(repo).partners(oids[-1], "a.py") == {"b.py": 1.0}


def test_each_commit_is_read_once(repo, history, monkeypatch):
    found, oids = history
    CoChange(found).partners(oids[-1], "a.py")
    read = []
    monkeypatch.setattr(cochange, "_touched", lambda _, new: read.extend(new) or {})
    newest = repo.commit({"a.py": "4\n", "c.py": "4\n"})
    assert "b.py" in CoChange(found).partners(newest, "a.py")
    assert read == [newest]


@pytest.mark.parametrize("damage", ["", "[1]", '{"x": 3}', "\udcff"])
def test_a_damaged_cache_file_is_rebuilt(history, damage):
    repo, oids = history
    file = repo.state_dir / FILE_NAME
    file.write_text(damage, "utf-8", "surrogateescape")
    assert CoChange(repo).partners(oids[-1], "a.py")["b.py"] == 1.0
    assert oids[0] in file.read_text("utf-8")
