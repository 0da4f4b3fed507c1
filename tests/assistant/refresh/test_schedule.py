"""When a refresh is due, and which holes are held out."""

from __future__ import annotations

import pytest

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.dataset.split import split_holes
from git_copilot.assistant.refresh.schedule import record_refresh, refresh_due
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.mining import mine
from tests.support.refresh_fixtures import opened_history, settings, tiny_model  # noqa: F401 - fixtures


def test_a_refresh_is_due_after_the_configured_number_of_commits(opened_repo, tiny):
    repo, found, db = opened_repo
    assert (
        refresh_due(RepositoryContext(found, db, settings(tiny, refresh_commits=24))) is None
    )  # nothing mined
    mine(found, db)
    assert (
        refresh_due(RepositoryContext(found, db, settings(tiny, refresh_commits=24)))
        == "24 commits"
    )
    assert refresh_due(RepositoryContext(found, db, settings(tiny, refresh_commits=25))) is None
    assert refresh_due(RepositoryContext(found, db, settings(tiny, refresh_commits=0))) is None
    record_refresh(found)
    assert refresh_due(RepositoryContext(found, db, settings(tiny, refresh_commits=1))) is None
    repo.commit({"new.py": "a = 1\n"})
    due = refresh_due(RepositoryContext(found, db, settings(tiny, refresh_commits=1)))
    assert due == "1 new commits since the last refresh"


def test_only_first_parent_commits_count_and_merges_do_not(opened_repo, tiny):
    repo, found, db = opened_repo
    mine(found, db)
    record_refresh(found)
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    repo.git("checkout", "-q", "-b", "feature")
    repo.commit({"new.py": "a = 1\n"})
    one = settings(tiny, refresh_commits=1)
    assert refresh_due(RepositoryContext(found, db, one)) is None
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "feature")
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    assert refresh_due(RepositoryContext(found, db, settings(tiny, refresh_commits=2))) is None
    assert refresh_due(RepositoryContext(found, db, one)) is not None
    # A remote that HEAD does not contain says nothing about this worktree.
    repo.git("checkout", "-q", "-b", "old", "HEAD~3")
    assert refresh_due(RepositoryContext(found, db, one)) is None


def holes(*sizes):
    """The given number of holes for each commit, newest first."""
    return [
        Hole(f"c{c}", "b", f"{i}.py", 0, 1, "line", "", 0)
        for c, size in enumerate(sizes)
        for i in range(size)
    ]


@pytest.mark.parametrize(
    ("sizes", "given", "train", "held"),
    [
        ([4] * 100, {}, 320, 80),
        ([4] * 100, {"max_train": 100}, 100, 60),
        ([12] * 200, {}, 1000, 200),
        ([4] * 12, {}, 28, 20),
        ([4] * 100, {"max_held_out": 24, "exact": True}, 376, 24),
    ],
)
def test_the_newest_holes_are_held_out(sizes, given, train, held):
    found = holes(*sizes)
    split = split_holes(found, commits=1, **({"max_train": 1000, "max_held_out": 200} | given))
    assert (len(split.train), len(split.held_out)) == (train, held)
    newest_train = found.index(split.train[0])
    assert all(found.index(h) < newest_train for h in split.held_out)
    assert not {h.commit for h in split.train} & {h.commit for h in split.held_out}


def test_a_large_commit_does_not_crowd_out_others_from_the_held_out_set():
    split = split_holes(holes(12, *[3] * 40), commits=1, max_train=100, max_held_out=20, exact=True)
    assert len({h.commit for h in split.held_out}) >= 5
