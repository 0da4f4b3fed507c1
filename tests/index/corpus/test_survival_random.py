"""Random histories against two independent references: `git blame`, and the text of each tree.

Every line that is ever written holds a number of its own, and none is written twice, so a line is
known by its text. Without renames the trees alone say where it stands and which commits took it
away; with renames and edits `git blame` is the judge.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.index.corpus.survival import load_survival
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.gitrepo import GitRepo
from tests.support.hole_tracking import HoleTracker

pytestmark = pytest.mark.slow

TOKEN = re.compile(r"token_(\d+)_")
EDITS = ("insert", "delete", "replace", "indent", "new", "remove")
BRANCHES = ("fork", "switch", "merge", "merge", "update")
Op = tuple[str, int, int]


class History:
    """Carries out operations on a repository and sows a hole for the lines of every commit."""

    def __init__(self, folder: Path) -> None:
        self.repo = GitRepo.init(folder / "work")
        self.db = Database(folder / DATABASE_NAME, create=True)
        self.field = HoleTracker(self.repo, self.db)
        self.tokens = 0
        self.branches = ["main"]
        self.holes: dict[int, tuple[str, list[str]]] = {}  # hole -> its commit, its tokens
        self.commit("f0.py", [*self.fresh(4)])

    def fresh(self, count: int) -> list[str]:
        self.tokens += count
        return [f"token_{n}_ = {n * n}" for n in range(self.tokens - count, self.tokens)]

    def files(self) -> list[str]:
        return sorted(p.name for p in self.repo.path.iterdir() if p.name != ".git")

    def commit(self, name: str, lines: Sequence[str], new: Sequence[str] | None = None) -> None:
        oid = self.repo.commit({name: "".join(f"{line}\n" for line in lines)})
        new = lines if new is None else new
        if new:
            hole = self.field.add_hole(name, "\n".join(new))
            self.holes[hole] = oid, [TOKEN.findall(line)[0] for line in new]

    def apply(self, op: Op) -> None:
        kind, a, b = op
        names = self.files()
        if kind in ("fork", "switch", "merge", "update"):
            getattr(self, kind)(a, b)
        elif kind == "new" or not names:
            lines = self.fresh(2 + b % 4)
            self.commit(f"f{self.tokens}.py", lines)
        else:
            self.edit(kind, names[a % len(names)], b)

    def edit(self, kind: str, name: str, b: int) -> None:
        path = self.repo.path / name
        lines = path.read_text().splitlines()
        at = b % (len(lines) + 1)
        new: list[str] = []
        if kind == "remove":
            path.unlink()
            self.repo.commit({})
            return
        if kind == "rename":
            path.rename(self.repo.path / f"r{self.tokens}_{b % 5}.py")
            self.repo.commit({})
            return
        if kind in ("insert", "replace"):
            new = self.fresh(1 + b % 3)
        if kind == "indent":
            lines[at:] = ["    " + line for line in lines[at:]]
        else:
            lines[at : at + (0 if kind == "insert" else 1 + b % 2)] = new
        self.commit(name, lines, new)

    def fork(self, a: int, b: int) -> None:
        self.branches.append(f"b{len(self.branches)}")
        self.repo.git("checkout", "-q", "-b", self.branches[-1])

    def switch(self, a: int, b: int) -> None:
        self.repo.git("checkout", "-q", self.branches[a % len(self.branches)])

    def merge(self, a: int, b: int) -> None:
        other = self.branches[a % len(self.branches)]
        self.repo._clock += 60
        how = [("-X", "ours"), ("-X", "theirs"), ("-s", "ours")][b % 8 if b % 8 < 3 else b % 2]
        self.repo.git("merge", "-q", "--no-ff", "--no-edit", *how, other, check=False)
        if (self.repo.git_dir / "MERGE_HEAD").exists():  # one side deleted what the other edited
            self.repo.git("add", "-A")
            self.repo.git("commit", "-q", "--no-edit")

    def update(self, a: int, b: int) -> None:
        self.field.update()

    def known(self) -> dict[int, tuple[float, str | None]]:
        return {
            hole: (s.stands, s.died_commit)
            for hole, s in load_survival(self.db, list(self.holes)).items()
        }

    def in_history(self) -> dict[int, tuple[str, list[str]]]:
        commits = set(self.repo.git("rev-list", "HEAD").split())
        return {hole: value for hole, value in self.holes.items() if value[0] in commits}

    def blamed(self) -> set[tuple[str, str]]:
        """(commit, token) of every line of HEAD."""
        found = set()
        for name in self.files():
            out = self.repo.git("blame", "-w", "-s", "-l", "--root", "HEAD", "--", name)
            for line in out.splitlines():
                found.add((line.split()[0].lstrip("^"), TOKEN.findall(line)[0]))
        return found

    def token_sets(self) -> list[tuple[str, list[str], set[str]]]:
        """Each commit, oldest first, its parents, and the tokens of its tree."""
        found = []
        for line in self.repo.git(
            "rev-list", "--parents", "--topo-order", "--reverse", "HEAD"
        ).splitlines():
            oid, *parents = line.split()
            text = self.repo.git("grep", "-h", "-e", "token", oid, check=False)
            found.append((oid, parents, set(TOKEN.findall(text))))
        return found


def judge_by_trees(history: History) -> dict[int, tuple[float, str | None]]:
    """Which share of each hole stands, and the first commit that lacks a line of a parent. Commits
    are a minute apart, so that the first in topological order by time is the first of all."""
    trees = history.token_sets()
    by_commit = {oid: tokens for oid, _, tokens in trees}
    times = {
        oid: int(time)
        for oid, time in (
            line.split() for line in history.repo.git("log", "--format=%H %at").splitlines()
        )
    }
    killers: dict[str, str] = {}
    for oid, parents, tokens in trees:
        for gone in set().union(*(by_commit[p] for p in parents)) - tokens:
            if gone not in killers or times[oid] < times[killers[gone]]:
                killers[gone] = oid
    head = trees[-1][2]
    verdict = {}
    for hole, (_, tokens) in history.in_history().items():
        share = sum(token in head for token in tokens) / len(tokens)
        dead = [killers[token] for token in tokens if token in killers]
        first = min(dead, key=lambda oid: times[oid], default=None)
        verdict[hole] = (share, None if share == 1 else first)
    return verdict


def judge_by_blame(history: History) -> dict[int, float]:
    blamed = history.blamed()
    return {
        hole: sum((commit, token) in blamed for token in tokens) / len(tokens)
        for hole, (commit, tokens) in history.in_history().items()
    }


@pytest.fixture(scope="module")
def scratch_repo():
    folder = Path(tempfile.mkdtemp())
    yield folder
    shutil.rmtree(folder)


def play(scratch_repo: Path, ops: Sequence[Op]) -> History:
    shutil.rmtree(scratch_repo, ignore_errors=True)
    scratch_repo.mkdir()
    history = History(scratch_repo)
    for op in ops:
        history.apply(op)
    return history


def followed_as_anew(history: History) -> list[tuple[object, ...]]:
    """The table, after checking that following on and a full pass give the same."""
    history.field.update()
    followed = history.field.rows()
    history.field.forget_level()
    assert history.field.update()
    assert history.field.rows() == followed
    return followed


def operations(*kinds: str) -> st.SearchStrategy[list[Op]]:
    number = st.integers(0, 40)
    return st.lists(st.tuples(st.sampled_from(kinds), number, number), min_size=4, max_size=14)


@settings(max_examples=12, deadline=None)
@given(operations(*EDITS, "insert", "replace", *BRANCHES))
def test_survival_with_merges_agrees_with_trees_and_blame(scratch_repo, ops):
    history = play(scratch_repo, ops)
    followed_as_anew(history)
    assert history.known() == judge_by_trees(history)
    assert {h: share for h, (share, _) in history.known().items()} == judge_by_blame(history)
    history.db.close()


@settings(max_examples=12, deadline=None)
@given(operations(*EDITS, "insert", "replace", "rename", "update"))
def test_survival_with_renames_in_linear_history_agrees_with_blame(scratch_repo, ops):
    history = play(scratch_repo, ops)
    followed_as_anew(history)
    assert {h: share for h, (share, _) in history.known().items()} == judge_by_blame(history)
    history.db.close()


@settings(max_examples=12, deadline=None)
@given(operations(*EDITS, "insert", "rename", *BRANCHES))
def test_survival_with_renames_and_merges_is_bounded_by_blame_and_text(scratch_repo, ops):
    """Blame follows one way through a merge where several lead on; a line is followed on all."""
    history = play(scratch_repo, ops)
    followed_as_anew(history)
    blamed, texts = judge_by_blame(history), judge_by_trees(history)
    for hole, (share, _) in history.known().items():
        assert blamed[hole] <= share <= texts[hole][0]
    history.db.close()
