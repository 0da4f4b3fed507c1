"""Objects missing at mining time are mined once they arrive, and nothing is fetched."""

from __future__ import annotations

import pytest

from git_copilot.index.corpus.mining import mine
from git_copilot.index.git.history import list_commits
from git_copilot.index.git.missing_objects import find_missing_objects
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.revisit import fetch_command, find_missing_history, is_due
from git_copilot.index.sync.sync import sync
from tests.support.gitrepo import GitRepo

COMMITS = 6


def code(name: str) -> str:
    return f"def {name}(width, height):\n    total = width * height + {name}\n    return total\n"


@pytest.fixture
def source(repo):
    """A history in which each commit adds a file and rewrites another."""
    for i in range(COMMITS):
        repo.commit({f"pkg/part_{i}.py": code(f"area_{i}"), "top.py": code(f"top_{i}")})
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    return repo


class Clone(GitRepo):
    """A clone with a corpus of its own."""

    def __init__(self, source, path, *options):
        source.git("clone", "-q", *options, f"file://{source.path}", str(path))
        super().__init__(path)
        self.found = GitRepository.discover(path)
        self.db = Database(path.with_suffix(f".{DATABASE_NAME}"), create=True)

    def mine(self):
        return mine(self.found, self.db)

    def statuses(self):
        return dict(self.db.query("SELECT status, count(*) FROM commits GROUP BY 1"))

    def holes(self):
        columns = "commit_oid, blob, path, start_byte, end_byte, kind"
        return set(self.db.query(f"SELECT {columns} FROM holes"))


@pytest.fixture
def clone(source, tmp_path):
    """A function that clones the source with options."""
    made = []

    def make(name, *options):
        made.append(Clone(source, tmp_path / name, *options))
        return made[-1]

    yield make
    for each in made:
        each.db.close()


@pytest.fixture
def full_clone_holes(clone):
    """The holes of a complete clone."""
    full = clone("full")
    full.mine()
    assert full.statuses() == {"mined": COMMITS} and full.holes()
    return full.holes()


def test_a_deepened_clone_is_mined_like_a_full_one(clone, full_clone_holes):
    shallow = clone("shallow", "--depth=2")
    shallow.mine()
    assert shallow.statuses() == {"mined": 1, "shallow": 1}
    assert not is_due(shallow.found, shallow.db)
    shallow.git("fetch", "-q", "--deepen=2")
    assert is_due(shallow.found, shallow.db)
    assert shallow.mine() == 3  # two that came, and the one whose parent came
    assert shallow.statuses() == {"mined": 3, "shallow": 1}
    assert not is_due(shallow.found, shallow.db)
    shallow.git("fetch", "-q", "--unshallow")
    shallow.mine()
    assert shallow.holes() == full_clone_holes
    assert not find_missing_history(shallow.found, shallow.db).missing


@pytest.mark.parametrize("how", ["blob:none", "blob:limit=90", "tree:0", "tree:1"])
@pytest.mark.parametrize("checkout", [True, False])
def test_a_partial_clone_is_mined_as_its_objects_arrive(
    clone, full_clone_holes, source, how, checkout
):
    partial = clone("partial", f"--filter={how}", *([] if checkout else ["--no-checkout"]))
    away = source.path.with_name("away")
    source.path.rename(away)  # nothing can be fetched now
    try:
        partial.mine()
        assert partial.holes() <= full_clone_holes
        here = partial.statuses().get("mined", 0)
        found = find_missing_history(partial.found, partial.db)
        assert (here + found.commits, found.versions >= found.commits) == (COMMITS, True)
    finally:
        away.rename(source.path)
    assert found.commits or how == "blob:limit=90"
    if found.commits:
        command = fetch_command(partial.found, found).split()
        assert command[0] == "git" and "--no-filter" in command
        partial.git("-c", "protocol.file.allow=always", *command[1:])
        assert is_due(partial.found, partial.db)
        assert partial.mine() == found.commits
    assert partial.holes() == full_clone_holes
    assert fetch_command(partial.found, find_missing_history(partial.found, partial.db)) == ""


def test_finding_missing_objects_takes_a_constant_number_of_processes(clone, source, monkeypatch):
    """Twice as many commits take no more processes: objects are requested in batches."""
    partial = clone("partial", "--filter=blob:none")
    calls = []
    for name in ("try_run", "stream"):
        plain = getattr(GitRepository, name)

        def counted(self, *args, plain=plain, **more):
            calls.append(args[0])
            return plain(self, *args, **more)

        monkeypatch.setattr(GitRepository, name, counted)
    partial.mine()
    few = len(calls)
    for i in range(2 * COMMITS):
        source.commit({f"pkg/more_{i}.py": code(f"more_{i}")})
        source.commit({f"pkg/more_{i}.py": code(f"other_{i}")})
    partial.git("fetch", "-q", "--filter=blob:none")
    partial.git("update-ref", "HEAD", "FETCH_HEAD")
    calls.clear()
    assert partial.mine() == 4 * COMMITS
    assert len(calls) <= few + 1


@pytest.mark.parametrize("how", ["blob:none", "tree:0"])
def test_missing_objects_are_counted_with_a_remedy(clone, source, how):
    partial = clone("partial", f"--filter={how}", "--no-checkout")
    tip, parent = partial.git("rev-list", "-2", "HEAD").split()
    (commit,) = [c for c in list_commits(partial.found, tip) if c.oid == tip]
    gap = find_missing_objects(partial.found, [commit])[tip]
    # Without blobs the two new ones; without trees its own and its parent's.
    own = ["top.py", f"pkg/part_{COMMITS - 1}.py"]
    names = {"blob:none": [f"{tip}:{path}" for path in own], "tree:0": [f"{tip}^{{tree}}"]}[how]
    assert gap.count == 2
    assert gap.first_missing in [source.git("rev-parse", name) for name in names]
    assert commit.parents == (parent,)


def test_an_object_lost_from_a_full_repository_is_mined_once_restored(
    full_clone_holes, source, tmp_path
):
    oid = source.git("rev-parse", "HEAD~2:top.py")
    loose, kept = source.git_dir / "objects" / oid[:2] / oid[2:], tmp_path / "kept"
    loose.rename(kept)
    found = GitRepository.discover(source.path)
    with Database(tmp_path / "damaged.db", create=True) as db:
        assert mine(found, db) == COMMITS
        missing = db.query(
            "SELECT oid FROM commits WHERE status = 'missing' AND waits_for = ?", (oid,)
        )
        assert len(missing) == 2  # the commit that wrote it, and the one that replaced it
        kept.rename(loose)
        assert mine(found, db) == 2
        columns = "commit_oid, blob, path, start_byte, end_byte, kind"
        assert set(db.query(f"SELECT {columns} FROM holes")) == full_clone_holes


def test_a_grafted_commit_is_mined_against_its_new_parent(clone, full_clone_holes):
    full = clone("grafted")
    full.mine()
    tip = full.git("rev-parse", "HEAD")
    before = {row for row in full.holes() if row[0] == tip}
    full.git("replace", "--graft", "HEAD", "HEAD~3")
    assert is_due(full.found, full.db)
    full.mine()
    grafted = {row for row in full.holes() if row[0] == tip}
    # Against its great-grandparent it adds what the two between them added as well.
    assert len({row[2] for row in grafted}) > len({row[2] for row in before})
    full.git("replace", "-d", tip)
    full.mine()
    assert full.holes() == full_clone_holes


def test_missing_files_of_head_are_counted(clone):
    partial = clone("partial", "--filter=blob:none", "--sparse")
    sync(partial.found, partial.db, None)
    partial.mine()
    assert find_missing_history(partial.found, partial.db).files == COMMITS
    partial.git("sparse-checkout", "disable")  # git fetches them
    assert is_due(partial.found, partial.db)
    sync(partial.found, partial.db, None)
    partial.mine()
    assert find_missing_history(partial.found, partial.db).files == 0


def test_a_mining_limit_is_reported_only_if_it_cut_something(clone):
    full = clone("full")
    mine(full.found, full.db, limit=COMMITS - 1)
    assert find_missing_history(full.found, full.db).limit == COMMITS - 1
    assert mine(full.found, full.db, limit=COMMITS) == 1
    assert find_missing_history(full.found, full.db).limit == 0
