"""Holes are code added by commits, cut from blobs byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.index.corpus.holes import choose_spans
from git_copilot.index.corpus.mining import corpus_counts, load_holes, mine
from git_copilot.index.corpus.snapshot import snapshot_holes
from git_copilot.index.git.history import additions, list_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync

FUNCTION = "def area(width, height):\n    total = width * height + offset\n    return total\n"


@pytest.fixture
def opened_repo(repo, tmp_path):
    db = Database(tmp_path / DATABASE_NAME, create=True)
    yield GitRepository.discover(repo.path), db
    db.close()


def all_holes(db):
    return load_holes(db, [str(o) for (o,) in db.query("SELECT oid FROM commits ORDER BY time")])


def test_holes_lie_in_added_lines_of_their_blob(repo, opened_repo):
    git, db = opened_repo
    repo.commit({"a.py": FUNCTION})
    repo.commit({"a.py": FUNCTION + "\n\ndef added(value):\n    return area(value, value) + 1\n"})
    assert mine(git, db) == 2
    holes = all_holes(db)
    assert holes
    second = [h for h in holes if h.commit == repo.git("rev-parse", "HEAD")]
    data = git.read_blob(second[0].blob)
    for hole in second:
        assert hole.start >= len(FUNCTION)
        assert data[: hole.start] + data[hole.start : hole.end] + data[hole.end :] == data
        assert data[hole.start : hole.end].decode().strip()
        assert hole.author == "Ada Author <ada@example.org>"


def test_mining_again_finds_nothing_new_and_is_deterministic(repo, opened_repo, tmp_path):
    git, db = opened_repo
    for i in range(5):
        repo.commit({f"f{i}.py": FUNCTION.replace("area", f"area_{i}")})
    assert mine(git, db) == 5
    assert mine(git, db) == 0
    with Database(tmp_path / "again.db", create=True) as other:
        mine(git, other)
        strip = [(h.commit, h.path, h.start, h.end, h.kind) for h in all_holes(other)]
    assert strip == [(h.commit, h.path, h.start, h.end, h.kind) for h in all_holes(db)]


def test_a_limit_mines_the_newest_commits_and_the_rest_later(repo, opened_repo):
    git, db = opened_repo
    oids = [repo.commit({f"f{i}.py": FUNCTION + f"# {i}\n"}) for i in range(6)]
    assert mine(git, db, limit=2) == 2
    assert {str(o) for (o,) in db.query("SELECT oid FROM commits")} == set(oids[-2:])
    assert mine(git, db) == 4


def test_merges_bots_and_sweeping_commits_are_excluded(repo, opened_repo):
    git, db = opened_repo
    for i in range(25):
        repo.commit({f"f{i}.py": FUNCTION + f"# {i}\n"})
    repo.commit({"bot.py": FUNCTION}, GIT_AUTHOR_NAME="renovate[bot]")
    repo.git("checkout", "-q", "-b", "side", "HEAD~3")
    repo.commit({"side.py": FUNCTION})
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-edit", "side")
    repo.commit({f"many/m{i}.py": FUNCTION + f"# {i}\n" for i in range(30)})
    mine(git, db)
    status = dict(db.query("SELECT status, count(*) FROM commits GROUP BY 1"))
    assert status == {"mined": 26, "bot": 1, "merge": 1, "mass": 1}


def test_binary_prose_vendored_and_undecodable_files_give_no_holes(repo, opened_repo):
    git, db = opened_repo
    repo.commit(
        {
            "a.bin": b"\0\1\2" * 50,
            "README.txt": "Some words of prose to read\n" * 9,
            "vendor/x.py": FUNCTION,
            "latin.py": FUNCTION.encode() + "s = 'caf\xe9 and more words here'\n".encode("latin-1"),
        }
    )
    mine(git, db)
    assert corpus_counts(db) == {"commits": 1, "holes": 0, "authors": 0}


RULED = {
    "gen/made.py": FUNCTION,
    "gen/kept.py": FUNCTION,
    "private/x.py": FUNCTION,
    "vendor/ours.py": FUNCTION,
    "vendor/theirs.py": FUNCTION,
    "lib/theirs.py": FUNCTION,
    "lib/said.py": FUNCTION,
    "free.py": FUNCTION,
}
RULES = {
    ".copilotignore": "private/\n",
    ".gitattributes": "gen/* linguist-generated\ngen/kept.py -linguist-generated\n"
    "vendor/ours.py copilot\nlib/theirs.py linguist-vendored\nlib/said.py -copilot\n",
}


@pytest.mark.parametrize("commits", [1, 110], ids=["a new commit", "the whole history"])
def test_files_excluded_from_the_index_are_not_mined(repo, opened_repo, commits):
    """Rules made today hold for what was written before them, in trees as in commits."""
    git, db = opened_repo
    repo.commit(RULED)
    for i in range(commits):  # of about as many files, or the first would be a mass change
        repo.commit({f"notes/{i}-{j}.txt": "a note\n" for j in range(8)})
    repo.commit(RULES)
    mine(git, db)
    sync(git, db, None)
    indexed = {p.decode() for (p,) in db.query("SELECT path FROM files")} - RULES.keys()
    indexed = {path for path in indexed if not path.startswith("notes/")}
    assert indexed == {"gen/kept.py", "vendor/ours.py", "free.py"}
    assert {hole.path for hole in all_holes(db)} == indexed
    assert {hole.path for hole in snapshot_holes(git, "HEAD")} == indexed
    reasons = dict(db.query("SELECT reason, sum(count) FROM left_out GROUP BY 1"))
    assert reasons == {
        "generated": 1, "vendored": 2, "ignored": 1, "attribute": 1, "not code": 2 + 8 * commits,
    }  # fmt: skip


def test_snapshot_holes_obey_the_rules_of_their_tree(repo, opened_repo):
    git, _ = opened_repo
    before = repo.commit(RULED)
    repo.commit(RULES)
    paths = {hole.path for hole in snapshot_holes(git, before)}
    assert "private/x.py" in paths and "vendor/ours.py" not in paths


def test_the_shallow_boundary_is_not_mined_as_new_code(repo, tmp_path):
    for i in range(4):
        repo.commit({f"f{i}.py": FUNCTION + f"# {i}\n"})
    repo.git("clone", "-q", "--depth", "2", f"file://{repo.path}", str(tmp_path / "shallow"))
    git = GitRepository.discover(tmp_path / "shallow")
    with Database(tmp_path / "s.db", create=True) as db:
        mine(git, db)
        assert dict(db.query("SELECT status, count(*) FROM commits GROUP BY 1")) == {
            "mined": 1,
            "shallow": 1,
        }


def test_an_empty_repository_has_nothing_to_mine(repo, opened_repo):
    assert mine(*opened_repo) == 0


def test_mailmap_merges_identities(repo, opened_repo):
    git, db = opened_repo
    repo.commit({".mailmap": "Ada Author <ada@example.org> <old@example.org>\n", "a.py": FUNCTION})
    repo.commit({"b.py": FUNCTION + "# b\n"}, GIT_AUTHOR_EMAIL="old@example.org")
    mine(git, db)
    assert corpus_counts(db)["authors"] == 1


def test_additions_survive_hostile_configuration_and_odd_paths(repo):
    repo.commit({'od"d\tname é.py': "one\ntwo\n"})
    repo.commit({'od"d\tname é.py': "one\n+++ b/evil.py\n@@ -1 +1 @@\ntwo\n"})
    for key, value in {
        "color.ui": "always", "diff.noprefix": "true", "diff.mnemonicPrefix": "true",
        "core.quotePath": "false", "diff.context": "9", "diff.algorithm": "patience",
    }.items():  # fmt: skip
        repo.git("config", key, value)
    git = GitRepository.discover(repo.path)
    commits = list_commits(git, "HEAD")
    found = dict(additions(git, [c.oid for c in commits]))
    newest = found[commits[0].oid]
    assert [(f.path, f.runs) for f in newest] == [('od"d\tname é.py', [(2, 2)])]
    assert git.read_blob(newest[0].blob).startswith(b"one\n+++")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["", "x = call(a, b, c)", "    return é + 'ü'", "\t\tif a:", "}", "  "]),
        max_size=30,
    ),
    st.integers(0, 10**6),
    st.sampled_from(["\n", "\r\n"]),
)
def test_spans_are_within_the_added_lines(lines, seed, newline):
    data = "".join(line + newline for line in lines).encode()
    runs = [(1 + i, 1) for i in range(0, len(lines), 2)]
    allowed = set()
    offset = 0
    for number, line in enumerate(lines, 1):
        size = len((line + newline).encode())
        if any(first == number for first, _ in runs):
            allowed.update(range(offset, offset + size))
        offset += size
    for span in choose_spans(data, runs, str(seed)):
        assert set(range(span.start, span.end)) <= allowed
        data[: span.start].decode(), data[span.start : span.end].decode(), data[span.end :].decode()
        assert not data[span.start : span.end].endswith((b"\n", b"\r"))
