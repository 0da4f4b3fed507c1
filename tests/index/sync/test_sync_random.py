"""Whatever happens in a repository and in whatever order: the index is as a new one would be, and
nothing is embedded twice."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.garbage_collection import DAY, collect
from git_copilot.index.sync.sync import sync
from tests.support.fakes import HashingEmbedder
from tests.support.gitrepo import GitRepo

NAMES = st.sampled_from(["alpha", "beta", "compute_total", "Thing", "value"])
PATHS = st.sampled_from(["a.py", "b.py", "lib/c.py", "lib/deep/d.js", "notes.txt", "vendor/e.py"])
RULES = st.sampled_from(
    ["*.py -copilot\n", "lib/** linguist-generated\n", "vendor/* copilot\n", "c.py binary\n", ""]
)
IGNORED = st.sampled_from(["lib/\n", "*.py\n!b.py\n", "deep\n", ""])
QUERIES = ("alpha value", "compute_total result", "class Thing method", "return beta")


@st.composite
def sources(draw):
    parts = draw(st.lists(st.tuples(NAMES, NAMES, st.integers(0, 3)), min_size=1, max_size=9))
    text = "".join(
        f"def {a}_{n}({b}):\n    # {'words ' * 20 * n}\n    return {b} + {n}\n\n\n"
        for a, b, n in parts
    )
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))


class Histories(RuleBasedStateMachine):
    """Random operations of real git in two worktrees, with occasional syncs."""

    @initialize(text=sources())
    def begin(self, text):
        self.folder = Path(tempfile.mkdtemp())
        self.repo = GitRepo.init(self.folder / "r")
        self.repo.commit({"a.py": text, "lib/c.py": text + "x = 1\n"})
        self.worktrees = {"": self.repo}
        self.branches = ["main"]
        self.embedder = HashingEmbedder()
        self.db = Database(self.folder / DATABASE_NAME, create=True)

    def files(self):
        return sorted(f for f in self.repo.git("ls-files").split("\n") if f and "/." not in f)

    @rule(path=PATHS, text=sources())
    def write(self, path, text):
        if (self.repo.path / path).is_symlink():
            (self.repo.path / path).unlink()
        self.repo.commit({path: text})

    @rule(path=PATHS, old=st.integers(0, 9))
    def move(self, path, old):
        files = self.files()
        if files and path not in files:
            (self.repo.path / path).parent.mkdir(parents=True, exist_ok=True)
            self.repo.git("mv", files[old % len(files)], path, check=False)
            self.repo.commit({})

    @rule(old=st.integers(0, 9))
    def remove(self, old):
        files = self.files()
        if len(files) > 1:
            self.repo.git("rm", "-q", files[old % len(files)])
            self.repo.commit({})

    @rule(folder=st.sampled_from(["", "lib/"]), text=RULES)
    def attributes(self, folder, text):
        self.repo.commit({f"{folder}.gitattributes": text})

    @rule(folder=st.sampled_from(["", "lib/"]), text=IGNORED)
    def ignore(self, folder, text):
        self.repo.commit({f"{folder}.copilotignore": text})

    @rule(path=PATHS)
    def turn_into_a_link(self, path):
        target = self.repo.path / path
        if target.is_file() and not target.is_symlink():
            target.unlink()
            target.symlink_to("elsewhere.py")
            self.repo.commit({})

    @rule()
    def branch(self):
        self.branches.append(f"b{len(self.branches)}")
        self.repo.git("checkout", "-q", "-b", self.branches[-1])

    @rule(which=st.integers(0, 9))
    def switch(self, which):
        self.repo.git("checkout", "-q", self.branches[which % len(self.branches)])

    @rule(which=st.integers(0, 9), side=st.sampled_from(["ours", "theirs"]))
    def merge(self, which, side):
        name = self.branches[which % len(self.branches)]
        self.repo.git("merge", "-q", "-X", side, "--no-edit", name, check=False)
        self.repo.git("reset", "-q", "--hard")

    @rule()
    def back(self):
        self.repo.git("reset", "-q", "--hard", "HEAD~1", check=False)

    @precondition(lambda self: len(self.worktrees) == 1)
    @rule()
    def worktree(self):
        linked = self.folder / "linked"
        self.repo.git("worktree", "add", "-q", "--detach", str(linked))
        self.worktrees["worktrees/linked"] = GitRepo(linked)

    @precondition(lambda self: len(self.worktrees) == 2)
    @rule()
    def worktree_goes(self):
        self.repo.git("worktree", "remove", "--force", str(self.folder / "linked"))
        del self.worktrees["worktrees/linked"]

    @rule(embed=st.booleans())
    def level(self, embed):
        for worktree in self.worktrees.values():
            git = GitRepository.discover(worktree.path)
            sync(git, self.db, self.embedder if embed else None)

    @rule(days=st.sampled_from([0, 2, 30]))
    def garbage(self, days):
        """Days pass and the worker collects: deleted chunks may be embedded again."""
        with self.db.transaction() as connection:
            connection.execute("UPDATE blobs SET hidden_at = hidden_at - ?", (days * DAY,))
        if collect(GitRepository.discover(self.repo.path), self.db).blobs:
            self.embedder.encoded.clear()

    def teardown(self):
        if not hasattr(self, "db"):
            return
        self.level(True)
        assert len(self.embedder.encoded) == len(set(self.embedder.encoded))
        with Database(self.folder / "fresh.db", create=True) as fresh:
            for view, worktree in self.worktrees.items():
                sync(GitRepository.discover(worktree.path), fresh, HashingEmbedder())
                assert contents(self.db, view) == contents(fresh, view)
                empty = self.folder / "empty"
                assert searches(self.db, view, empty) == searches(fresh, view, empty)
        self.db.connection.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('integrity-check')")
        assert self.db.query("PRAGMA foreign_key_check") == []
        self.db.close()
        shutil.rmtree(self.folder)


def contents(db, view):
    """Everything the view shows, without database ids."""
    return db.query(
        "SELECT f.path, b.oid, b.language, b.skipped, b.secrets, c.start_line, c.end_line,"
        " c.kind, c.name, c.scope, c.text, x.vector, (SELECT json_group_array(s.name || s.line ||"
        " s.signature || s.scope || s.doc) FROM symbols s WHERE s.chunk_id = c.id)"
        " FROM files f JOIN views v ON v.id = f.view_id JOIN blobs b ON b.id = f.blob_id"
        " LEFT JOIN chunks c ON c.blob_id = b.id LEFT JOIN vectors x ON x.chunk_id = c.id"
        " WHERE v.name = ? ORDER BY f.path, c.start_line",
        (view,),
    )


def searches(db, view, folder):
    embedder = HashingEmbedder()
    vectors = VectorIndex.load(db, folder, embedder.name, embedder.dimensions)
    searcher = Searcher(db, view, vectors)
    return [
        [
            (h.path, h.start_line, round(h.score, 9), h.sources)
            for h in searcher.search(Query(text, names=tuple(text.split())), 8, embedder)
        ]
        for text in QUERIES
    ]


TestHistories = pytest.mark.slow(Histories.TestCase)
TestHistories.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
