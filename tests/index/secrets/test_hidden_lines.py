"""A line that looks like a secret is in no chunk, vector, word list or symbol."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.snapshot import snapshot_holes
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.secrets.scan import secret_lines
from git_copilot.index.store import views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync
from git_copilot.index.text.chunking import chunk_blob
from git_copilot.index.text.named_values import VALUE_KINDS
from tests.support.fakes import HashingEmbedder

PASSWORD = "Tr0ub4dor" + "Zebra7"
SOURCE = f'''\
def connect(host, password="{PASSWORD}"):
    return host


def close(connection):
    connection.end()
'''


@pytest.mark.parametrize("language", ["python", "text"])
def test_a_hidden_line_is_blanked_and_the_rest_unchanged(language):
    data = (SOURCE + "x = 1\n" * 200).encode()
    plain, hidden = (chunk_blob(data, language, frozenset(h)) for h in ((), (1, 6, 207)))
    for one, other in zip(plain, hidden, strict=True):
        lines = one.text.split("\n")
        for number in (1, 6):
            if one.start_line <= number <= one.end_line:
                lines[number - one.start_line] = ""
        symbols = tuple(s for s in one.symbols if s.line != 1)
        named = [s for s in symbols if s.kind not in VALUE_KINDS]  # constants name no chunk
        name, kind = (named[0].name, named[0].kind) if named else ("", other.kind)
        assert other == replace(one, text="\n".join(lines), symbols=symbols, name=name, kind=kind)
    assert [s.name for c in plain for s in c.symbols if s.kind not in VALUE_KINDS] == (
        ["connect", "close"] if language == "python" else []
    )


def test_a_definition_with_a_hidden_name_or_decorator_is_no_symbol():
    data = b"@use(1)\n@two\ndef f():\n    pass\n\n\ndef g():\n    pass\n"
    for line, names in ((1, {"f", "g"}), (3, {"g"}), (7, {"f"})):
        found = chunk_blob(data, "python", frozenset({line}))
        assert {s.name for c in found for s in c.symbols} == names
    decorated = [s.line for c in chunk_blob(data, "python", frozenset({1})) for s in c.symbols]
    assert 1 not in decorated


def test_a_chunk_of_hidden_lines_only_is_dropped():
    assert len(chunk_blob(b"a\nb\n\n", "text", frozenset({1}))) == 1
    assert chunk_blob(b"a\nb\n\n", "text", frozenset({1, 2})) == []


@given(
    st.lists(st.sampled_from(["def f():", "    return 1", "", "class C:", "x = [", "]", "# é"])),
    st.frozensets(st.integers(1, 30)),
)
def test_hidden_lines_do_not_move_chunk_boundaries(lines, hidden):
    data = "\n".join(lines).encode()
    places = {
        (c.start_line, c.end_line, c.start_byte, c.end_byte) for c in chunk_blob(data, "python")
    }
    for chunk in chunk_blob(data, "python", hidden):
        assert (chunk.start_line, chunk.end_line, chunk.start_byte, chunk.end_byte) in places
        for number, line in enumerate(chunk.text.split("\n"), chunk.start_line):
            empty = number in hidden or number > chunk.end_line  # behind the last newline
            assert line == ("" if empty else lines[number - 1])


def test_a_sync_stores_and_embeds_no_secret(repo, tmp_path):
    key = [
        "-----BEGIN RSA PRIVATE " + "KEY-----",
        "MIIEpAIBAAKCAQEAzebra",
        "-----END RSA PRIVATE KEY-----",
    ]
    repo.commit(
        {
            "db.py": SOURCE,
            "copy/db.py": SOURCE,
            "settings.yaml": f"name: app\npassword: {PASSWORD}\n",
            "notes.txt": "\n".join(key),
        }
    )  # fmt: skip
    git = GitRepository.discover(repo.path)
    db = Database(tmp_path / DATABASE_NAME, create=True)
    embedder = HashingEmbedder()
    sync(git, db, embedder)
    assert views.view_counts(db, "", embedder.name)["secrets"] == 1 + 1 + 1 + 3
    assert not any(word in text for text in embedder.encoded for word in (PASSWORD, *key))
    searcher = Searcher(db, "", None)
    for query in (
        Query(PASSWORD),
        Query("MIIEpAIBAAKCAQEAzebra"),
        Query("", names=("connect",)),
    ):
        assert searcher.search(query, 5, None) == []
    (hit, *_) = searcher.search(Query("", names=("close",)), 5, None)
    assert (hit.start_line, hit.text.split("\n")[:2]) == (1, ["", "    return host"])
    db.close()
    stored = b"".join(
        p.read_bytes() for p in tmp_path.iterdir() if p.name.startswith(DATABASE_NAME)
    )
    for word in (PASSWORD, PASSWORD.lower(), *key):
        assert word.encode() not in stored
    assert b"connection.end()" in stored


def test_a_blob_is_judged_alike_whichever_path_comes_first(repo, tmp_path):
    counts = set()
    for names in (("a.txt", "b.yaml"), ("b.yaml", "a.txt")):
        for name in names:
            repo.commit({name: f"password: {PASSWORD}\n"})
            git = GitRepository.discover(repo.path)
            folder = tmp_path / "-".join(names)
            folder.mkdir(exist_ok=True)
            with Database(folder / DATABASE_NAME, create=True) as db:
                sync(git, db, None)
                counts.add(db.scalar("SELECT sum(secrets) FROM blobs"))
        repo.git("rm", "-q", "-r", ".")
        repo.commit({})
    assert counts == {1}


CODE = f'''\
def connect(host, user):
    session = open_session(host, user, password="{PASSWORD}")
    return session.begin(host, user)


TOKENS = {{"first": "ghp_{"a1B2c3D4e" * 4}", "other": lookup(connect)}}


def close(connection):
    connection.flush(everything=True)
    connection.end(reason="closed by the user")
'''


def test_no_hole_touches_a_secret(repo, tmp_path):
    """The same file is added under many names, so that every way of cutting is tried."""
    for i in range(40):
        repo.commit({f"src/m{i}.py": CODE})
    git = GitRepository.discover(repo.path)
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        mine(git, db)
        commits = repo.git("rev-list", "HEAD").split()
        holes = load_holes(db, commits)
        left_out = db.scalar("SELECT sum(count) FROM left_out WHERE reason = 'secret'")
    cut = [*holes, *snapshot_holes(git, "HEAD")]
    hidden = secret_lines(CODE, "m.py")
    assert hidden == {2, 6} and len(holes) > 60 and left_out > 10
    for hole in cut:
        first = CODE.encode().count(b"\n", 0, hole.start) + 1
        last = CODE.encode().count(b"\n", 0, hole.end) + 1
        assert hidden.isdisjoint(range(first, last + 1)), hole
