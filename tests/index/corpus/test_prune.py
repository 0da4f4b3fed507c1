"""Rewriting history leaves no hole of a lost commit or blob."""

from __future__ import annotations

import pytest

from git_copilot.index.corpus.prune import prune_lost
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME
from tests.support.gitrepo import GitRepo
from tests.support.hole_tracking import numbered_lines
from tests.support.pruned_corpus import Corpus, code

QUIET = {"FILTER_BRANCH_SQUELCH_WARNING": "1"}


@pytest.fixture
def corpus(repo, tmp_path):
    corpus = Corpus(repo, tmp_path / DATABASE_NAME)
    yield corpus
    corpus.db.close()


def expire(repo: GitRepo) -> None:
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")


def amend(repo: GitRepo) -> None:
    repo.write({"a.py": code(5, "amended_")})
    repo.git("commit", "-q", "-a", "--amend", "-m", "amended")


def rebase(repo: GitRepo) -> None:
    repo.git("checkout", "-q", "-b", "side", "HEAD~2")
    repo.commit({"c.py": code(2, "c_")})
    repo.git("checkout", "-q", "main")
    repo.git("rebase", "-q", "side")


def filter_branch(repo: GitRepo) -> None:
    tree = "git rm -q --cached --ignore-unmatch b.py"
    repo.git("filter-branch", "-f", "--index-filter", tree, "HEAD", **QUIET)
    repo.git("update-ref", "-d", "refs/original/refs/heads/main")


def reset(repo: GitRepo) -> None:
    repo.git("reset", "-q", "--hard", "HEAD~2")
    repo.commit({"d.py": code(2, "d_")})


def orphan(repo: GitRepo) -> None:
    repo.git("checkout", "-q", "--orphan", "fresh")
    repo.commit({"a.py": code(4, "fresh_")})
    repo.git("branch", "-q", "-D", "main")


REWRITES = [amend, rebase, filter_branch, reset, orphan]


@pytest.mark.parametrize("rewrite", REWRITES)
@pytest.mark.parametrize("between", ["mined between", "mined at the end"])
def test_a_rewrite_leaves_no_lost_hole_and_equals_a_fresh_corpus(
    repo, corpus, tmp_path, rewrite, between
):
    for i in range(4):
        repo.commit({"a.py": code(i + 1), "b.py": code(i + 1, "b_")})
    corpus.refresh()
    old = corpus.commits()
    rewrite(repo)
    if between == "mined between":
        assert corpus.refresh() > 0
    expire(repo)
    corpus.refresh()
    assert corpus.lost() == []
    assert corpus.commits() == set(repo.git("rev-list", "--all").split()) != old
    fresh = Corpus(repo, tmp_path / "fresh.db")
    fresh.refresh()
    assert len(corpus.holes()) > 0
    assert corpus.holes() == fresh.holes()
    fresh.db.close()


def test_pruning_during_a_rebase_leaves_no_hole_pointing_to_a_lost_blob(repo, corpus):
    for i in range(5):
        repo.commit({"a.py": code(i + 1)})
        repo.git("branch", "base") if i == 1 else None
    corpus.refresh()
    repo.git("checkout", "-q", "base")
    repo.commit({"c.py": code(2, "c_")})
    repo.git("checkout", "-q", "main")
    repo.git("rebase", "-q", "-i", "base", check=False, GIT_SEQUENCE_EDITOR="sed -i s/^pick/edit/")
    for _ in range(3):
        assert (repo.git_dir / "rebase-merge").exists()
        assert corpus.refresh() == 0  # the branch still holds what is being replaced
        repo.git("rebase", "--continue", check=False)
    assert not (repo.git_dir / "rebase-merge").exists()
    assert corpus.refresh() == 3
    expire(repo)
    corpus.refresh()
    assert corpus.lost() == []
    assert corpus.commits() == set(repo.git("rev-list", "--all").split())


def test_commits_reachable_from_any_ref_or_worktree_head_are_kept(repo, corpus, tmp_path):
    repo.commit({"a.py": code(1)})
    kept = {}
    for name in ("branch", "tag", "note", "worktree", "head"):
        repo.git("checkout", "-q", "--detach", "main")
        kept[name] = repo.commit({f"{name}.py": code(2, name)})
        corpus.refresh()
        if name == "branch":
            repo.git("branch", "kept")
        elif name == "tag":
            repo.git("tag", "-a", "-m", "kept", "v1")
        elif name == "note":
            repo.git("update-ref", "refs/anything/at-all", "HEAD")
        elif name == "worktree":
            repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"))
    assert corpus.refresh() == corpus.look_at_all() == 0
    assert set(kept.values()) < corpus.commits()
    repo.git("worktree", "remove", str(tmp_path / "other"))
    assert corpus.refresh() == 1
    assert kept["worktree"] not in corpus.commits()
    repo.git("checkout", "-q", "main")
    repo.git("tag", "-d", "v1")
    assert corpus.refresh() == 2
    assert corpus.commits() & set(kept.values()) == {kept["branch"], kept["note"]}


def test_pruning_from_a_linked_worktree_keeps_commits_of_the_main_one(repo, tmp_path):
    repo.commit({"a.py": code(1)})
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "other"))
    repo.git("checkout", "-q", "--detach")
    detached = repo.commit({"a.py": code(2)})
    main, other = (
        Corpus(repo, tmp_path / "x.db"),
        Corpus(GitRepo(tmp_path / "other"), tmp_path / "x.db"),
    )
    main.refresh()
    assert other.refresh() == other.look_at_all() == 0
    assert detached in other.commits()
    main.db.close()
    other.db.close()


def test_a_deleted_branch_is_pruned_and_mined_again_when_restored(repo, corpus):
    repo.commit({"a.py": code(1)})
    repo.git("checkout", "-q", "-b", "side")
    tip = repo.commit({"b.py": code(3)})
    corpus.refresh()
    before = corpus.holes()
    repo.git("checkout", "-q", "main")
    assert corpus.refresh() == 0
    repo.git("branch", "-q", "-D", "side")
    assert corpus.refresh() == 1
    assert tip not in corpus.commits()
    repo.git("checkout", "-q", "-b", "side", tip)
    assert corpus.refresh() == 0
    assert corpus.holes() == before


REFS, MOVED, ALL_COMMITS = "--no-walk=unsorted", "--max-count=1", "--all"


@pytest.fixture
def walks(monkeypatch):
    """How history was walked since the last look: the first argument of each ``git rev-list``."""
    calls, try_run = [], GitRepository.try_run

    def recorded(self, *args, **more):
        if args[0] == "rev-list":
            calls.append(args[1])
        return try_run(self, *args, **more)

    monkeypatch.setattr(GitRepository, "try_run", recorded)

    def since_last_look():
        seen = calls.copy()
        calls.clear()
        return seen

    return since_last_look


def test_pruning_again_reads_the_refs_only_and_writes_nothing(repo, corpus, walks):
    repo.commit({"a.py": code(1)})
    corpus.refresh()
    assert ALL_COMMITS in walks()
    written = corpus.db.connection.total_changes
    assert prune_lost(corpus.git, corpus.db) == 0
    assert walks() == [REFS]
    assert corpus.db.connection.total_changes == written
    repo.commit({"a.py": code(2)})
    assert prune_lost(corpus.git, corpus.db) == 0
    assert walks() == [REFS, MOVED]
    assert corpus.db.connection.total_changes > written


def test_deleting_a_merged_branch_walks_no_history_and_loses_nothing(repo, corpus, walks):
    repo.commit({"a.py": code(1)})
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"b.py": code(1)})
    repo.git("checkout", "-q", "main")
    repo.commit({"a.py": code(2)})
    corpus.refresh()
    repo.git("merge", "-q", "--no-edit", "side")
    corpus.refresh()
    walks()
    repo.git("branch", "-q", "-d", "side")
    assert prune_lost(corpus.git, corpus.db) == 0
    assert walks() == [REFS, MOVED]
    assert corpus.commits() == set(repo.git("rev-list", "--all").split())
    # Once a branch that was not merged is deleted, all of history is walked.
    repo.git("checkout", "-q", "-b", "unmerged")
    repo.commit({"b.py": code(2)})
    corpus.refresh()
    repo.git("checkout", "-q", "main")
    repo.git("branch", "-q", "-D", "unmerged")
    walks()
    assert prune_lost(corpus.git, corpus.db) == 1
    assert walks() == [REFS, MOVED, ALL_COMMITS]


def test_a_shallow_clone_keeps_readable_commits(repo, tmp_path):
    for i in range(6):
        repo.commit({f"f{i}.py": code(2, f"f{i}_")})
    url = f"file://{repo.path}"
    repo.git("clone", "-q", "--depth=4", url, str(tmp_path / "shallow"))
    clone = GitRepo(tmp_path / "shallow")
    corpus = Corpus(clone, tmp_path / "s.db")
    corpus.refresh()
    assert len(corpus.commits()) == 4
    clone.git("fetch", "-q", "--deepen=1")
    assert corpus.refresh() == 0
    assert len(corpus.commits()) == 5
    clone.git("fetch", "-q", "--depth=2")
    assert corpus.refresh() == 0
    assert len(corpus.commits()) == 5
    # Of what was cut off, git forgets the older cuts, which gave nothing.
    clone.git("prune", "--expire=never")
    assert corpus.refresh() == 0
    assert len(corpus.commits()) == 4
    expire(clone)
    assert corpus.refresh() == 2
    assert corpus.lost() == []
    clone.git("fetch", "-q", "--unshallow")
    corpus.refresh()
    assert len(corpus.commits()) == 6
    # None is a cut any more, so each was looked at with its parent.
    assert corpus.db.scalar("SELECT count(*) FROM commits WHERE status = 'mined'") == 6
    corpus.db.close()


def test_objects_of_an_alternate_are_kept_even_while_it_is_absent(repo, tmp_path):
    for i in range(3):
        repo.commit({f"f{i}.py": code(2, f"f{i}_")})
    repo.git("clone", "-q", "-s", str(repo.path), str(tmp_path / "borrower"))
    clone = GitRepo(tmp_path / "borrower")
    own = clone.commit({"own.py": code(2)})
    corpus = Corpus(clone, tmp_path / "b.db")
    corpus.refresh()
    assert len(corpus.commits()) == 4
    away = repo.path.rename(tmp_path / "away")
    clone.git("update-ref", "refs/heads/more", own, check=False)
    assert prune_lost(corpus.git, corpus.db) == 0
    assert len(corpus.commits()) == 4
    away.rename(repo.path)
    assert corpus.refresh() == 0
    assert corpus.lost() == []
    corpus.db.close()


def test_a_broken_ref_stops_pruning_but_not_the_worker(repo, corpus):
    repo.commit({"a.py": code(1)})
    side = repo.commit({"a.py": code(2)})
    corpus.refresh()
    repo.git("reset", "-q", "--hard", "HEAD~1")
    broken = repo.git_dir / "refs" / "heads" / "broken"
    broken.write_text("12345678" * 5 + "\n")
    assert corpus.refresh() == 0
    assert side in corpus.commits()
    broken.unlink()
    assert corpus.refresh() == 1
    assert side not in corpus.commits()


def test_pruning_a_repository_without_commits_does_nothing(tmp_path):
    repo = GitRepo.init(tmp_path / "empty")
    corpus = Corpus(repo, tmp_path / "e.db")
    assert corpus.refresh() == 0
    repo.commit({"a.py": numbered_lines(range(3))})
    assert corpus.refresh() == 0
    assert len(corpus.commits()) == 1
    corpus.db.close()
