"""Holes are followed through merges: a line survives if it does so by way of any parent."""

from __future__ import annotations

import pytest

from git_copilot.index.corpus.lineage import Lineage
from git_copilot.index.corpus.survival import Survival
from git_copilot.index.git.history import list_commits, patches
from git_copilot.index.git.repository import GitRepository
from tests.support.gitrepo import EPOCH
from tests.support.hole_tracking import numbered_lines

TEN = numbered_lines(range(10))


def test_holes_of_both_sides_of_a_merge_are_followed(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    old = hole_tracker.add_hole("a.py", "line 5")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"a.py": "side\n" + TEN})
    side = hole_tracker.add_hole("a.py", "side")
    repo.git("checkout", "-q", "main")
    repo.commit({"a.py": TEN + "main\n"})
    main = hole_tracker.add_hole("a.py", "main")
    repo.git("merge", "-q", "--no-edit", "side")
    assert [hole_tracker.places(h) for h in (side, old, main)] == [
        {"a.py": [1]},
        {"a.py": [7]},
        {"a.py": [12]},
    ]


def test_a_resolved_conflict_keeps_the_lines_it_kept(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"a.py": TEN.replace("line 5\n", "kept of side\nlost of side\n")})
    kept, lost = (
        hole_tracker.add_hole("a.py", "kept of side"),
        hole_tracker.add_hole("a.py", "lost of side"),
    )
    repo.git("checkout", "-q", "main")
    repo.commit({"a.py": TEN.replace("line 5\n", "lost of main\nkept of main\n")})
    ours, gone = (
        hole_tracker.add_hole("a.py", "kept of main"),
        hole_tracker.add_hole("a.py", "lost of main"),
    )
    repo.git("merge", "-q", "side", check=False)
    both = TEN.replace("line 5\n", "kept of side\nby hand\nkept of main\n")
    merge = repo.commit({"a.py": both})
    assert hole_tracker.places(kept) == {"a.py": [6]}
    assert hole_tracker.places(ours) == {"a.py": [8]}
    assert hole_tracker.fate(lost).died_commit == hole_tracker.fate(gone).died_commit == merge


def test_a_death_is_attributed_to_the_branch_commit_not_the_merge(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    hole = hole_tracker.add_hole("a.py", "line 5")
    repo.git("checkout", "-q", "-b", "side")
    killer = repo.commit({"a.py": TEN.replace("line 5\n", "")})
    repo.git("checkout", "-q", "main")
    repo.commit({"b.py": "b\n"})
    repo.git("merge", "-q", "--no-edit", "side")
    assert hole_tracker.fate(hole).died_commit == killer


def test_a_merge_taking_one_side_kills_the_other_sides_lines(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    old = hole_tracker.add_hole("a.py", "line 3")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"a.py": TEN.replace("line 3\n", "of side\n")})
    side = hole_tracker.add_hole("a.py", "of side")
    repo.git("checkout", "-q", "main")
    repo.commit({"b.py": "b\n"})
    repo.git("merge", "-q", "-s", "ours", "--no-edit", "side")
    assert hole_tracker.fate(side).died_commit == repo.git("rev-parse", "HEAD")
    # Taken away on the side, but kept by the merge.
    assert hole_tracker.fate(old) == Survival(1.0, None, None)


@pytest.mark.parametrize("into", ["main", "other"])
def test_a_line_deleted_on_one_branch_and_kept_by_a_merge_survives(repo, hole_tracker, into):
    repo.commit({"a.py": TEN})
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"a.py": "of side\n" + TEN})
    hole = hole_tracker.add_hole("a.py", "of side")
    repo.git("checkout", "-q", "-b", "other")
    repo.commit({"a.py": TEN})
    repo.git("checkout", "-q", "main")
    repo.commit({"a.py": TEN + "of main\n"})
    repo.git("merge", "-q", "--no-edit", "side")
    repo.git("checkout", "-q", into)
    repo.git("merge", "-q", "--no-ff", "--no-commit", {"other": "main", "main": "other"}[into])
    repo.commit({"a.py": "of side\n" + TEN + "of main\n"})
    assert hole_tracker.places(hole) == {"a.py": [1]}


@pytest.mark.parametrize("into", ["main", "side"])
def test_a_line_lost_through_one_parent_may_survive_through_another(repo, hole_tracker, into):
    """Half of the file is rewritten in two steps: too much for a rename to be seen in one."""
    twenty = numbered_lines(range(20))
    repo.commit({"a.py": twenty})
    hole = hole_tracker.add_hole("a.py", "line 0\nline 1")
    repo.git("checkout", "-q", "-b", "side")
    repo.git("mv", "a.py", "b.py")
    for i in (7, 14):
        repo.commit({"b.py": numbered_lines(range(20 - i)) + numbered_lines(range(100, 100 + i))})
    repo.git("checkout", "-q", "main")
    repo.commit({"c.py": "c\n"})
    repo.git("checkout", "-q", into)
    repo.git("merge", "-q", "--no-edit", {"main": "side", "side": "main"}[into])
    rewritten = (repo.path / "b.py").read_text()
    assert hole_tracker.fate(hole) == Survival(1.0, None, None)
    killer = repo.commit({"b.py": rewritten.replace("line 1\n", "")})
    for _ in "followed on", "anew":
        assert hole_tracker.fate(hole) == Survival(0.5, killer, EPOCH + 300)
        hole_tracker.forget_level()


def test_a_cherry_picked_change_survives_for_both_commits(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"a.py": "fix\n" + TEN})
    first = hole_tracker.add_hole("a.py", "fix")
    repo.git("checkout", "-q", "main")
    repo.commit({"b.py": "b\n"})
    repo.git("cherry-pick", "side")
    second = hole_tracker.add_hole("a.py", "fix")
    repo.commit({"a.py": "fix\n" + TEN + "on\n"})
    repo.git("merge", "-q", "--no-edit", "side")
    assert hole_tracker.places(first) == hole_tracker.places(second) == {"a.py": [1]}


@pytest.mark.parametrize("renamer", ["main", "side"])
def test_a_rename_on_one_side_merges_with_an_edit_on_the_other(repo, hole_tracker, renamer):
    repo.commit({"a.py": TEN})
    old, dead = hole_tracker.add_hole("a.py", "line 7"), hole_tracker.add_hole("a.py", "line 2")
    repo.git("branch", "side")
    editor = {"main": "side", "side": "main"}[renamer]
    repo.git("checkout", "-q", renamer)
    repo.git("mv", "a.py", "b.py")
    repo.commit({})
    repo.git("checkout", "-q", editor)
    killer = repo.commit({"a.py": TEN.replace("line 2\n", "new of the editor\n")})
    new = hole_tracker.add_hole("a.py", "new of the editor")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-edit", "side")
    assert hole_tracker.places(old) == {"b.py": [8]}
    assert hole_tracker.places(new) == {"b.py": [3]}
    assert hole_tracker.fate(dead).died_commit == killer


def test_octopus_merges_and_unrelated_histories_are_followed(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    old = hole_tracker.add_hole("a.py", "line 5")
    holes = []
    for name in ("one", "two"):
        repo.git("checkout", "-q", "-b", name, "main")
        repo.commit({f"{name}.py": f"in {name}\n"})
        holes.append(hole_tracker.add_hole(f"{name}.py", f"in {name}"))
    repo.git("checkout", "-q", "--orphan", "alien", "main")
    repo.git("rm", "-q", "-rf", ".")
    repo.commit({"alien.py": "from elsewhere\n"})
    holes.append(hole_tracker.add_hole("alien.py", "from elsewhere"))
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-edit", "one", "two")
    repo.git("merge", "-q", "--no-edit", "--allow-unrelated-histories", "alien")
    assert [hole_tracker.fate(h).stands for h in (old, *holes)] == [1, 1, 1, 1]


def test_a_line_reaching_a_merge_by_two_parents_is_counted_once(repo):
    """Kept twice, it would be kept 2^30 times after thirty merges."""
    repo.commit({"a.py": TEN})
    repo.git("branch", "side")
    for i in range(3):
        repo.git("checkout", "-q", "side")
        repo.commit({"a.py": TEN + f"change {i}\n"})
        repo.git("checkout", "-q", "main")
        repo.git("merge", "-q", "--no-ff", "--no-edit", "side")
        repo.git("branch", "-q", "-f", "side", "main")
    git = GitRepository.discover(repo.path)
    commits = list_commits(git, "HEAD")[::-1]
    lineage = Lineage(commits, lambda old, new, paths: [])
    requests = [" ".join([c.oid, *c.parents[:1]]) for c in commits]
    for commit, (_, found) in zip(commits, patches(git, requests), strict=True):
        lineage.step(commit, found)
        if not commit.parents:
            lineage.track(commit.oid, "a.py", found[0].blob, 1, [6])
    assert lineage._states[commits[-1].oid]["a.py"][1:] == ([6], [0])
