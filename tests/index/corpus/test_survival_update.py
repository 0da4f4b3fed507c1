"""The survival table follows HEAD wherever it moves, and gives the weights of holes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.mining import mine
from git_copilot.index.corpus.survival import DAY, Survival, load_survival, weight
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database
from tests.support.gitrepo import EPOCH
from tests.support.hole_tracking import HoleTracker, numbered_lines

TEN = numbered_lines(range(10))


def test_holes_across_binary_or_missing_versions_have_no_known_fate(repo, hole_tracker):
    repo.commit({"a.py": TEN, "b.py": TEN + "b\n", "c.py": TEN + "c\n"})
    holes = [hole_tracker.add_hole(name, "line 5") for name in ("a.py", "b.py", "c.py")]
    repo.commit({"a.py": TEN.encode() + b"\0", "b.py": "top\n" + TEN})
    blob = repo.git("rev-parse", "HEAD:b.py")
    repo.commit({"b.py": TEN})
    repo.commit({"c.py": "top\n" + TEN})
    loose = repo.git_dir / "objects" / blob[:2] / blob[2:]
    away = loose.read_bytes()
    loose.unlink()
    assert [hole_tracker.fate(h) for h in holes] == [None, None, Survival(1.0, None, None)]
    loose.write_bytes(away)
    repo.commit({})
    hole_tracker.forget_level()
    assert [hole_tracker.fate(h) is None for h in holes] == [True, False, False]


def test_holes_of_a_file_that_becomes_binary_have_no_known_fate(repo, hole_tracker):
    repo.commit({"a.py": TEN, "b.py": TEN})
    holes = [hole_tracker.add_hole("a.py", "line 5"), hole_tracker.add_hole("b.py", "line 5")]
    assert [hole_tracker.fate(h).stands for h in holes] == [1, 1]
    repo.commit({"a.py": TEN.encode() + b"\0"})
    assert [hole_tracker.fate(h) for h in holes] == [None, Survival(1.0, None, None)]
    assert not hole_tracker.update()


def test_a_missing_tree_or_blob_makes_only_its_holes_unknown(repo, hole_tracker):
    repo.commit({"src/a.py": TEN, "b.py": TEN})
    holes = [hole_tracker.add_hole("src/a.py", "line 5"), hole_tracker.add_hole("b.py", "line 5")]
    repo.commit({"src/a.py": "top\n" + TEN})
    tree = repo.git("rev-parse", "HEAD:src")
    repo.commit({"src/a.py": TEN})
    late = hole_tracker.add_hole("src/a.py", "line 6", "HEAD")
    (repo.git_dir / "objects" / tree[:2] / tree[2:]).unlink()
    assert [hole_tracker.fate(h) for h in holes] == [None, None]
    assert hole_tracker.fate(late) == Survival(1.0, None, None)
    blob = repo.git("rev-parse", "HEAD:src/a.py")
    (repo.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    hole_tracker.forget_level()
    assert hole_tracker.fate(late) is None


def test_only_holes_in_the_history_of_head_have_a_fate(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    base = hole_tracker.add_hole("a.py", "line 5")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"a.py": TEN + "side\n"})
    side = hole_tracker.add_hole("a.py", "side")
    assert hole_tracker.fate(side).stands == 1
    repo.git("checkout", "-q", "main")
    assert (hole_tracker.fate(base).stands, hole_tracker.fate(side)) == (1, None)
    repo.git("reset", "-q", "--hard", "side")
    assert hole_tracker.fate(side).stands == 1


def test_an_update_runs_only_when_something_changed(repo, hole_tracker):
    assert not hole_tracker.update()  # no commit yet
    for i in range(4):
        repo.commit({f"f{i}.py": TEN})
    new = hole_tracker.add_hole("f3.py", "line 1")
    assert hole_tracker.update(limit=2)
    assert not hole_tracker.update(limit=2)
    old = hole_tracker.add_hole("f0.py", "line 1", "HEAD~3")
    assert hole_tracker.update(limit=2)  # a hole more
    assert set(load_survival(hole_tracker.db, [old, new])) == {new}
    assert not hole_tracker.update(limit=2)
    assert hole_tracker.update(limit=3)  # more is asked for
    assert hole_tracker.update(limit=0)
    assert set(load_survival(hole_tracker.db, [old, new])) == {old, new}
    assert not hole_tracker.update()
    repo.commit({})
    late = hole_tracker.add_hole(
        "f1.py", "line 1", "HEAD~3"
    )  # of an old commit, and HEAD moved too
    assert hole_tracker.update()
    assert load_survival(hole_tracker.db, [late]) == {late: Survival(1.0, None, None)}
    with hole_tracker.db.transaction() as connection:
        connection.execute("DELETE FROM holes WHERE id = ?", (old,))
    assert not hole_tracker.update()
    assert load_survival(hole_tracker.db, [old, new]) == {new: Survival(1.0, None, None)}


def test_an_incremental_update_equals_a_full_pass(repo, hole_tracker):
    repo.commit({"a.py": TEN, "b.py": TEN + "b\n"})
    holes = [hole_tracker.add_hole("a.py", f"line {i}\nline {i + 1}") for i in range(0, 8, 2)]
    holes += [hole_tracker.add_hole("b.py", "line 8"), hole_tracker.add_hole("b.py", "line 3")]
    labels = []
    for text in ("top\n" + TEN, "top\n" + TEN.replace("line 3\n", ""), numbered_lines(range(1, 9))):
        repo.commit({"a.py": text})
        hole_tracker.update(progress=lambda label, done, total: labels.append((label, done, total)))
    repo.git("checkout", "-q", "-b", "side")
    repo.git("mv", "b.py", "c.py")
    killer = repo.commit({"c.py": TEN.replace("line 8\n", "") + "b\n"})
    repo.git("checkout", "-q", "main")
    repo.commit({"b.py": "above\n" + TEN + "b\n"})
    hole_tracker.update()
    before = hole_tracker.rows()
    repo.git("checkout", "-q", "-b", "after")
    repo.commit({"d.py": TEN})
    repo.git("checkout", "-q", "main")
    repo.commit({"e.py": TEN})
    repo.git("merge", "-q", "--no-edit", "after")
    hole_tracker.update()
    assert hole_tracker.rows() == before
    repo.git("merge", "-q", "--no-edit", "side")  # left before the last pass ended
    hole_tracker.update()
    followed = hole_tracker.rows()
    hole_tracker.forget_level()
    hole_tracker.update()
    assert hole_tracker.rows() == followed
    assert hole_tracker.places(holes[-1]) == {"c.py": [5]}
    assert hole_tracker.fate(holes[-2]).died_commit == killer
    # One commit each time, not all of them again.
    assert labels[2:] == [("following lines", 0, 1), ("following lines", 1, 1)] * 2


def test_a_deleted_file_stays_dead_after_merging_an_old_branch(repo, hole_tracker):
    repo.commit({"a.py": TEN, "b.py": TEN})
    hole = hole_tracker.add_hole("a.py", "line 5")
    assert hole_tracker.fate(hole).stands == 1
    repo.git("branch", "side")
    repo.git("rm", "-q", "a.py")
    killer = repo.commit({})
    repo.git("checkout", "-q", "side")
    repo.commit({"b.py": "top\n" + TEN})
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-edit", "side")
    assert hole_tracker.fate(hole).died_commit == killer


def test_survival_is_updated_when_a_shallow_clone_is_deepened(repo, tmp_path):
    for i in range(5):
        repo.commit({f"f{i}.py": TEN, "a.py": numbered_lines(range(i + 3))})
    repo.git("clone", "-q", "--depth=3", f"file://{repo.path}", str(tmp_path / "shallow"))
    clone = type(repo)(tmp_path / "shallow")
    with Database(tmp_path / "s.db", create=True) as db:
        hole_tracker = HoleTracker(clone, db)
        late = hole_tracker.add_hole("a.py", "line 6", "HEAD")
        assert hole_tracker.fate(late).stands == 1
        clone.git("fetch", "-q", "--unshallow")
        early = hole_tracker.add_hole("a.py", "line 1", "HEAD~4")
        assert hole_tracker.fate(early).stands == hole_tracker.fate(late).stands == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from git_copilot.index.store.database import Database
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.corpus.survival import update_survival

def die(label, done, total):
    if done == (total if sys.argv[3] == "late" else 0):
        os.kill(os.getpid(), signal.SIGKILL)

with Database(Path(sys.argv[2])) as db:
    update_survival(GitRepository.discover(Path(sys.argv[1])), db, progress=die)
"""


@pytest.mark.parametrize("moment", ["early", "late"])
def test_a_killed_update_changes_nothing_and_the_next_one_completes(repo, hole_tracker, moment):
    repo.commit({"a.py": TEN})
    holes = [hole_tracker.add_hole("a.py", f"line {i}") for i in range(9)]
    hole_tracker.update()
    before = hole_tracker.rows()
    repo.commit({"a.py": TEN.replace("line 3\n", "")})
    done = subprocess.run([sys.executable, "-c", KILLED, repo.path, hole_tracker.db.path, moment])
    assert done.returncode == -signal.SIGKILL
    assert hole_tracker.rows() == before
    assert [hole_tracker.fate(h).stands for h in holes] == [1, 1, 1, 0, 1, 1, 1, 1, 1]


def test_every_mined_hole_has_a_fate(repo, hole_tracker):
    body = (
        "def area_{0}(width, height):\n    total = width * height + {0}\n    return total - {0}\n"
    )
    for i in range(9):
        repo.commit({"a.py": "".join(body.format(j) for j in range(i + 1))})
    git = GitRepository.discover(repo.path)
    mine(git, hole_tracker.db)
    hole_tracker.update()
    rows = hole_tracker.rows()
    assert len(rows) == hole_tracker.db.scalar("SELECT count(*) FROM holes") > 3
    assert {row[1] for row in rows} == {1.0}


def hole_at(time: int) -> Hole:
    return Hole("c" * 40, "b" * 40, "a.py", 0, 1, "line", "Ada", time)


@pytest.mark.parametrize(
    ("survival", "value", "why"),
    [
        (None, 1.0, "not determined yet"),
        (Survival(1.0, None, None), 1.0, "stands at HEAD"),
        (Survival(0.0, "1234abcd" * 5, 2 * DAY), 0.0, "reverted after 2 days by 1234abcd"),
        (Survival(0.0, "1234abcd" * 5, 1 * DAY), 0.0, "reverted after 1 day by 1234abcd"),
        (Survival(0.0, "1234abcd" * 5, -9 * DAY), 0.0, "reverted after 0 days by 1234abcd"),
        (Survival(0.0, "1234abcd" * 5, 7 * DAY), 0.5, "rewritten after 7 days by 1234abcd"),
        (Survival(0.0, "1234abcd" * 5, 400 * DAY), 0.8, "rewritten after 400 days by 1234abcd"),
        (
            Survival(0.75, "1234abcd" * 5, 3 * DAY),
            0.75,
            "75% stands at HEAD, the rest reverted after 3 days by 1234abcd",
        ),
        (
            Survival(0.5, "1234abcd" * 5, 100 * DAY),
            0.9,
            "50% stands at HEAD, the rest rewritten after 100 days by 1234abcd",
        ),
    ],
)
def test_weights_follow_survival(survival, value, why):
    moved = survival and Survival(
        survival.stands, survival.died_commit, survival.died_time and survival.died_time + EPOCH
    )
    assert weight(hole_at(EPOCH), moved) == (pytest.approx(value), why)
