"""Exports are complete, loadable, made of existing commits, and free of secrets."""

from __future__ import annotations

import json
import os

import pytest

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.export import ExportRequest
from git_copilot.assistant.dataset.hole_selection import tree_holes
from git_copilot.assistant.dataset.rows import FILE_COLUMNS, HOLE_COLUMNS, file_rows, hole_rows
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.corpus.mining import mine
from git_copilot.index.store.forget import forget
from tests.support.exports import export, load
from tests.support.gitrepo import EPOCH
from tests.support.histories import KEY, function


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_exported_holes_load_with_datasets_and_equal_their_blobs(mined_repo, tmp_path, suffix):
    repo, found, db = mined_repo
    out = tmp_path / f"out.{suffix}"
    count = export(found, db, out)
    rows = load(out, tmp_path / "cache")
    assert rows.num_rows == count == db.scalar("SELECT count(*) FROM holes") > 5
    assert tuple(rows.column_names) == HOLE_COLUMNS
    for row in rows:
        text = row["prefix"] + row["middle"] + row["suffix"]
        assert text.encode() == found.read_blob(row["blob"])
        assert row["repository"] == found.name
        assert repo.git("cat-file", "-t", row["commit"]) == "commit"
        assert row["author"] == "Ada Author <ada@example.org>" and row["language"] == "python"
    assert "src/é.py" in rows["path"]


def test_times_are_author_times_in_utc(mined_repo, tmp_path):
    _, found, db = mined_repo
    export(found, db, tmp_path / "c.jsonl")
    times = {row["time"] for row in read_jsonl(tmp_path / "c.jsonl")}
    assert "2023-11-14T22:14:20+00:00" in times and len(times) == 4


def test_commits_reachable_from_no_ref_are_left_out(opened_repo, tmp_path):
    repo, found, db = opened_repo
    repo.commit({"a.py": function("kept")})
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"b.py": function("side")})
    repo.git("checkout", "-q", "main")
    repo.commit({"c.py": function("amended")})
    mine(found, db)
    repo.git("checkout", "-q", "side")
    mine(found, db)
    repo.git("checkout", "-q", "main")
    repo.git("commit", "-q", "--amend", "-m", "other")
    assert {row["path"] for row in hole_rows(RepositoryContext(found, db, Settings()))} == {
        "a.py",
        "b.py",
    }
    repo.git("checkout", "-q", "--detach", "HEAD@{1}")
    assert {row["path"] for row in hole_rows(RepositoryContext(found, db, Settings()))} == {
        "a.py",
        "b.py",
        "c.py",
    }


def test_since_leaves_out_older_holes(mined_repo):
    _, found, db = mined_repo
    times = sorted({row["time"] for row in hole_rows(RepositoryContext(found, db, Settings()))})
    later = {
        row["time"]
        for row in hole_rows(RepositoryContext(found, db, Settings()), since=EPOCH + 180)
    }
    assert later == set(times[2:])
    assert list(hole_rows(RepositoryContext(found, db, Settings()), since=EPOCH + 10**8)) == []


def test_non_utf8_paths_are_escaped_and_missing_blobs_skipped(mined_repo, tmp_path):
    repo, found, db = mined_repo
    (repo.path / os.fsdecode(b"caf\xe9.py")).write_text(function("walrus"))
    repo.commit({})
    mine(found, db)
    gone = repo.git("rev-parse", "HEAD:src/beta.py")
    (repo.git_dir / "objects" / gone[:2] / gone[2:]).unlink()
    export(found, db, tmp_path / "c.jsonl")
    paths = {row["path"] for row in read_jsonl(tmp_path / "c.jsonl")}
    assert paths == {"src/alpha.py", "src/gamma.py", "src/é.py", "caf\ufffd.py"}


def test_secrets_are_masked_and_their_lines_have_no_holes(opened_repo):
    repo, found, db = opened_repo
    text = (
        f"def connect():\n    key = open_session(name, '{KEY}', 1)\n    return key, name, value\n"
    )
    oid = repo.commit({"src/key.py": text})
    mine(found, db)
    blob = repo.git("rev-parse", "HEAD:src/key.py")
    spans = [text.index("open_session"), text.index("key, name"), text.index("return")]
    with db.transaction() as connection:
        connection.execute("DELETE FROM holes")
        for start in spans:
            connection.execute(
                "INSERT INTO holes (commit_oid, blob, path, language, start_byte, end_byte, kind)"
                " VALUES (?, ?, ?, 'python', ?, ?, 'line')",
                (oid, blob, b"src/key.py", start, text.index("\n", start)),
            )
    rows = list(hole_rows(RepositoryContext(found, db, Settings())))
    assert [row["middle"] for row in rows] == ["return key, name, value", "key, name, value"]
    for row in rows:
        whole = row["prefix"] + row["middle"] + row["suffix"]
        assert KEY not in whole and len(whole) == len(text) and "open_session" in whole
    (file,) = file_rows(RepositoryContext(found, db, Settings()))
    assert KEY not in file["content"] and len(file["content"]) == len(text)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_exported_files_are_the_human_written_ones_of_head(mined_repo, tmp_path, suffix):
    repo, found, db = mined_repo
    repo.commit(
        {
            "src/alpha.py": function("other"),
            "node_modules/x.js": "let a = 1;\n",
            "made.py": "# @generated\nx = 1\n",
            "latin.py": "x = 'é'\n".encode("latin-1"),
        }
    )
    out = tmp_path / f"files.{suffix}"
    assert export(found, db, out, source="snapshot") == 4
    rows = load(out, tmp_path / "cache")
    assert tuple(rows.column_names) == FILE_COLUMNS
    assert rows["path"][:] == ["src/alpha.py", "src/beta.py", "src/gamma.py", "src/é.py"]
    for row in rows:
        assert row["content"].encode() == found.read_blob(row["blob"])
        assert row["commit"] == repo.git("rev-parse", "HEAD")


def test_files_that_a_forgotten_author_touched_are_left_out(mined_repo):
    repo, found, db = mined_repo
    bob = {"GIT_AUTHOR_NAME": "Bob", "GIT_AUTHOR_EMAIL": "bob@example.org"}
    repo.commit({"src/alpha.py": function("of_bob")}, **bob)
    repo.commit({"src/alpha.py": function("of_ada"), "src/later.py": function("later")})
    forget(db, "author", "Bob")
    forget(db, "path", "src/gamma.py")
    forget(db, "commit", repo.git("log", "-1", "--format=%H", "--", "src/beta.py"))
    paths = ["src/later.py", "src/é.py"]
    assert [row["path"] for row in file_rows(RepositoryContext(found, db, Settings()))] == paths
    assert {hole.path for hole in tree_holes(found, db, "HEAD")} == set(paths)


def test_an_empty_repository_gives_an_empty_file(opened_repo, tmp_path):
    _, found, db = opened_repo
    for source in ("commits", "snapshot"):
        assert export(found, db, tmp_path / "c.jsonl", source=source) == 0
        assert (tmp_path / "c.jsonl").read_bytes() == b""
        assert export(found, db, tmp_path / "c.parquet", source=source) == 0
        columns = HOLE_COLUMNS if source == "commits" else FILE_COLUMNS
        assert load_columns(tmp_path / "c.parquet") == columns


def load_columns(path):
    import pyarrow.parquet as pq

    return tuple(pq.read_schema(path).names)


# Mistakes and accidents


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (".", "folder"),
        ("sub", "folder"),
        ("sub.jsonl", "folder"),
        ("c.csv", "neither"),
        ("c", "neither"),
        (".jsonl", "neither"),
        ("none/c.jsonl", "does not exist"),
        ("file/c.jsonl", "does not exist"),
        ("/proc/c.jsonl", "cannot write /proc/c.jsonl"),
    ],
)
def test_an_unwritable_output_is_refused_and_nothing_is_created(
    mined_repo, tmp_path, monkeypatch, out, words
):
    _, found, db = mined_repo
    monkeypatch.chdir(tmp_path)
    for name in ("sub", "sub.jsonl"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CopilotError, match=words):
        export(found, db, type(tmp_path)(out))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"source": "nonsense"}, "commits, snapshot, both"),
        ({"source": "both"}, "--rendered"),
        ({"source": "snapshot", "since": 5}, "no date"),
    ],
)
def test_incompatible_options_are_refused(given, words):
    with pytest.raises(CopilotError, match=words):
        ExportRequest(**given)
