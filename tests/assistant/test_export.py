"""Exports are what they promise: whole, loadable, of commits that exist, without secrets."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest
from fakes import HashingEmbedder
from gitrepo import EPOCH
from tiny import FIM_TOKENS, save_tiny

from git_copilot.assistant import render, rowfile
from git_copilot.assistant.config import Settings
from git_copilot.assistant.corpus import tree_holes
from git_copilot.assistant.dataset import make_example, read_cuts, serving_budget, with_retrieval
from git_copilot.assistant.export import (
    FILE_COLUMNS,
    HOLE_COLUMNS,
    TEXT_COLUMNS,
    Order,
    export_corpus,
    file_rows,
    hole_rows,
)
from git_copilot.assistant.refresh import TRAINING_SHARE
from git_copilot.assistant.render import control_ids, rendered_rows, spell
from git_copilot.assistant.rowfile import GROUP_ROWS, write_rows
from git_copilot.assistant.tokens import TextTokenizer
from git_copilot.index.errors import CopilotError, ModelError
from git_copilot.index.forget import forget
from git_copilot.index.mine import load_holes, mine

# Put together here, so that no scanner takes this file for a leak.
KEY = "AKIA" + "Q7MD2XW4NB5TZKPH"
END = "<|endoftext|>"


def function(name, lines=6):
    body = "".join(f"    {name}_{i} = combine(value, {name!r}, {i})\n" for i in range(lines))
    return f"def {name}(value):\n{body}    return value\n"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", fim=True)


@pytest.fixture
def filled(opened):
    repo, found, db = opened
    for name in ("alpha", "beta", "gamma"):
        repo.commit({f"src/{name}.py": function(name), f"docs/{name}.md": "# hi\n"})
    repo.commit({"src/é.py": "\ufeff# ü\r\n" + "value = combine(first, 'ä', third)\r\n" * 3})
    mine(found, db)
    return repo, found, db


def export(found, db, out, **more):
    settings = more.pop("settings", Settings())
    return export_corpus(found, db, settings, out, Order(**more))


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def load(path, cache):
    """As Hugging Face datasets load it."""
    import datasets

    kind = "parquet" if path.suffix == ".parquet" else "json"
    return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(cache))


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_holes_load_as_a_data_set_and_are_their_blobs(filled, tmp_path, suffix):
    repo, found, db = filled
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


def test_times_are_the_authors_in_utc(filled, tmp_path):
    _, found, db = filled
    export(found, db, tmp_path / "c.jsonl")
    times = {row["time"] for row in read_jsonl(tmp_path / "c.jsonl")}
    assert "2023-11-14T22:14:20+00:00" in times and len(times) == 4


def test_commits_that_no_ref_reaches_are_left_out(opened, tmp_path):
    repo, found, db = opened
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
    assert {row["path"] for row in hole_rows(found, db)} == {"a.py", "b.py"}
    repo.git("checkout", "-q", "--detach", "HEAD@{1}")
    assert {row["path"] for row in hole_rows(found, db)} == {"a.py", "b.py", "c.py"}


def test_since_leaves_out_what_was_written_before(filled):
    _, found, db = filled
    times = sorted({row["time"] for row in hole_rows(found, db)})
    later = {row["time"] for row in hole_rows(found, db, since=EPOCH + 180)}
    assert later == set(times[2:])
    assert list(hole_rows(found, db, since=EPOCH + 10**8)) == []


def test_a_path_that_is_not_utf8_and_a_blob_that_is_gone(filled, tmp_path):
    repo, found, db = filled
    (repo.path / os.fsdecode(b"caf\xe9.py")).write_text(function("walrus"))
    repo.commit({})
    mine(found, db)
    gone = repo.git("rev-parse", "HEAD:src/beta.py")
    (repo.git_dir / "objects" / gone[:2] / gone[2:]).unlink()
    export(found, db, tmp_path / "c.jsonl")
    paths = {row["path"] for row in read_jsonl(tmp_path / "c.jsonl")}
    assert paths == {"src/alpha.py", "src/gamma.py", "src/é.py", "caf\ufffd.py"}


def test_secrets_are_masked_and_no_hole_is_on_their_line(opened):
    repo, found, db = opened
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
    rows = list(hole_rows(found, db))
    assert [row["middle"] for row in rows] == ["return key, name, value", "key, name, value"]
    for row in rows:
        whole = row["prefix"] + row["middle"] + row["suffix"]
        assert KEY not in whole and len(whole) == len(text) and "open_session" in whole
    (file,) = file_rows(found, db)
    assert KEY not in file["content"] and len(file["content"]) == len(text)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_files_are_those_of_head_that_people_wrote(filled, tmp_path, suffix):
    repo, found, db = filled
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


def test_files_that_a_forgotten_author_touched_are_left_out(filled):
    repo, found, db = filled
    bob = {"GIT_AUTHOR_NAME": "Bob", "GIT_AUTHOR_EMAIL": "bob@example.org"}
    repo.commit({"src/alpha.py": function("of_bob")}, **bob)
    repo.commit({"src/alpha.py": function("of_ada"), "src/later.py": function("later")})
    forget(db, "author", "Bob")
    forget(db, "path", "src/gamma.py")
    forget(db, "commit", repo.git("log", "-1", "--format=%H", "--", "src/beta.py"))
    paths = ["src/later.py", "src/é.py"]
    assert [row["path"] for row in file_rows(found, db)] == paths
    assert {hole.path for hole in tree_holes(found, db, "HEAD")} == set(paths)


def test_an_empty_repository_gives_an_empty_file(opened, tmp_path):
    _, found, db = opened
    for source in ("commits", "snapshot"):
        assert export(found, db, tmp_path / "c.jsonl", source=source) == 0
        assert (tmp_path / "c.jsonl").read_bytes() == b""
        assert export(found, db, tmp_path / "c.parquet", source=source) == 0
        columns = HOLE_COLUMNS if source == "commits" else FILE_COLUMNS
        assert load_columns(tmp_path / "c.parquet") == columns


def load_columns(path):
    import pyarrow.parquet as pq

    return tuple(pq.read_schema(path).names)


# Rendered texts


def small(tiny, **more):
    return Settings(
        model=str(tiny), prompt_tokens=4000, context_tokens=2000, suffix_tokens=400, **more
    )


def test_texts_are_what_training_sees(filled, tiny, tmp_path):
    repo, found, db = filled
    settings = small(tiny)
    out = tmp_path / "texts.parquet"
    count = export(found, db, out, rendered=True, settings=settings)
    rows = load(out, tmp_path / "cache")
    assert tuple(rows.column_names) == TEXT_COLUMNS and rows.num_rows == count
    tokenizer = TextTokenizer.load(tiny)
    holes = load_holes(db, repo.git("rev-list", "HEAD").split())
    assert count == len(holes)
    budget = serving_budget(settings, TRAINING_SHARE)
    plain = 0
    for cut, row in zip(read_cuts(found, holes), rows, strict=True):
        assert (row["path"], row["commit"]) == (cut.hole.path, cut.hole.commit)
        text = row["text"]
        assert text.endswith(f"{cut.middle}{END}") and text.count(END) == 1
        if cut.suffix.strip():
            assert text.count("<fim_prefix>") == text.count("<fim_suffix>") == 1
            assert cut.prefix.split("\n")[-1] + "<fim_suffix>" in text
        if not with_retrieval(cut, settings.seed):
            example = make_example(tokenizer, cut, (), budget, found.name)
            assert text == spell(tokenizer, example)
            assert text.count("<filename>") == 1
            plain += 1
    assert 0 < plain < count


def test_context_is_as_of_the_parent_commit(opened, tiny):
    """Each commit uses what came before it; what comes after may not be shown."""
    repo, found, db = opened
    names = ("alpha", "beta", "gamma", "delta")
    for name in names:
        calls = "".join(f"    total = alpha(value) + {name}(value, {i})\n" for i in range(4))
        repo.commit({f"src/{name}.py": function(name) + f"\n\ndef use_{name}(value):\n{calls}"})
    mine(found, db)
    rows = list(rendered_rows(found, db, small(tiny), "commits"))
    order = repo.git("rev-list", "--reverse", "HEAD").split()
    shown = 0
    for row in rows:
        texts = row["text"].replace("<fim_prefix>", "").split("<filename>")[1:]
        heads = [x.split("\n")[0] for x in texts]
        others = set(heads) - {row["path"]}
        known = {f"src/{name}.py" for name in names[: order.index(row["commit"])]}
        assert others <= known
        shown += bool(others)
    assert shown > 3


def test_the_embedder_that_is_here_is_used(filled, tiny, monkeypatch):
    _, found, db = filled
    embedder = HashingEmbedder()
    monkeypatch.setattr(render, "ready_embedder", lambda settings: embedder)
    assert list(rendered_rows(found, db, small(tiny), "commits"))
    assert any("alpha" in text for text in embedder.encoded)


def test_texts_of_a_tree_are_half_of_them_left_to_right(filled, tiny, tmp_path):
    repo, found, db = filled
    for i in range(12):
        repo.commit({f"src/more{i}.py": function(f"more{i}")})
    both = list(rendered_rows(found, db, small(tiny), "both"))
    standing = [row for row in both if not row["author"]]
    written = [row for row in both if row["author"]]
    assert standing == list(rendered_rows(found, db, small(tiny), "snapshot"))
    assert written == list(rendered_rows(found, db, small(tiny), "commits"))
    with_suffix = sum("<fim_suffix>" in row["text"] for row in standing)
    assert 0.2 < with_suffix / len(standing) < 0.8
    with_suffix = sum("<fim_suffix>" in row["text"] for row in written)
    assert with_suffix / len(written) > 0.8
    for row in standing:
        assert row["text"].endswith(END) and row["commit"] == repo.git("rev-parse", "HEAD")


def test_code_that_spells_a_control_token_is_left_out(opened, tiny):
    repo, found, db = opened
    repo.commit({"src/a.py": function("plain")})
    mark = f"MARK = '{FIM_TOKENS[1]}'\n"
    repo.commit({"src/b.py": mark + function("spelt", 3) + mark})  # a hole cuts one at most
    mine(found, db)
    assert {row["path"] for row in hole_rows(found, db)} == {"src/a.py", "src/b.py"}
    texts = list(rendered_rows(found, db, small(tiny), "commits"))
    assert {row["path"] for row in texts} == {"src/a.py"}
    tokenizer = TextTokenizer.load(tiny)
    assert {tokenizer.spell([i]) for i in control_ids(tokenizer)} == {END, *FIM_TOKENS}


def test_texts_need_the_model(filled, tmp_path, monkeypatch):
    _, found, db = filled
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="model pull"):
        export(found, db, tmp_path / "c.jsonl", rendered=True)
    assert list(tmp_path.glob("*.jsonl*")) + list(tmp_path.glob(".c*")) == []


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
        ("none/c.jsonl", "no folder"),
        ("file/c.jsonl", "no folder"),
        ("/proc/c.jsonl", "cannot write /proc/c.jsonl"),
    ],
)
def test_what_cannot_be_written_is_told(filled, tmp_path, monkeypatch, out, words):
    _, found, db = filled
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
def test_parts_that_do_not_go_together_are_told(given, words):
    with pytest.raises(CopilotError, match=words):
        Order(**given)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_disk_that_takes_no_more_leaves_the_old_file(tmp_path, suffix):
    out = tmp_path / f"c.{suffix}"
    out.write_text("old")
    rows = [{"text": os.urandom(5000).hex()} for _ in range(100)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
    try:
        with pytest.raises(CopilotError, match="cannot write"):
            write_rows(out, ["text"], rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert out.read_text() == "old" and list(tmp_path.iterdir()) == [out]
    assert write_rows(out, ["text"], rows) == 100
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_rows_are_written_as_they_come(tmp_path, suffix):
    """When a group is full, it is on its way to the disk before the next row is asked for."""
    out = tmp_path / f"c.{suffix}"
    sizes = []

    def rows():
        for i in range(3 * GROUP_ROWS):
            if i % GROUP_ROWS == 0:
                (part,) = tmp_path.iterdir()
                sizes.append(part.stat().st_size)
            yield {"text": os.urandom(2000).hex()}

    assert write_rows(out, ["text"], rows()) == 3 * GROUP_ROWS
    assert sizes[1] > 10**6 and sizes[2] > 1.5 * sizes[1]


def test_large_rows_make_small_groups(monkeypatch, tmp_path):
    monkeypatch.setattr(rowfile, "GROUP_CHARACTERS", 100)
    groups = list(rowfile._groups({"text": "x" * 40} for _ in range(7)))
    assert [len(group) for group in groups] == [3, 3, 1]


def test_what_a_killed_export_left_goes_with_the_next(tmp_path):
    out = tmp_path / "c[1].jsonl"
    with subprocess.Popen([sys.executable, "-c", "pass"]) as dead:
        dead.wait()
    left = tmp_path / f".c[1].jsonl.{dead.pid}"
    # The parent may be process 1.
    kept = {tmp_path / f".c[1].jsonl.{x}" for x in ("backup", os.getppid(), 1, 10**12)}
    for path in (left, *kept):
        path.write_text("x")
    write_rows(out, ["text"], [{"text": "a"}])
    assert sorted(tmp_path.iterdir()) == sorted([out, *kept])
