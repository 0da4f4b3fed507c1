"""`git copilot index` and its `gc`, as a user runs them."""

from __future__ import annotations

import json

import pytest

from git_copilot.index.store.database import DATABASE_NAME


def test_gc_dry_run_reports_what_gc_then_does(copilot, project):
    project.commit({"src/passing.py": "def passing_by():\n    return 1\n"})
    copilot.ok("index")
    project.git("rm", "-q", "src/passing.py")
    project.commit({})
    copilot.ok("index")
    plan = copilot.json("index", "gc", "--grace", "0", "--dry-run")
    assert (plan["blobs"], plan["chunks"], plan["freed_bytes"]) == (1, 1, 0)
    assert "removed 0 unused files" in copilot.ok("index", "gc")
    done = copilot.json("index", "gc", "--grace", "0")
    assert set(done) == {"views", "blobs", "chunks", "vectors", "seconds", "freed_bytes"}
    assert done["blobs"] == 1
    assert copilot.json("index", "gc", "--grace", "0")["blobs"] == 0
    assert copilot.json("status")["index"]["fresh"] is True


@pytest.mark.parametrize("damage", ["truncated", "page", "header"])
def test_damage_is_a_one_line_error_and_rebuild_keeps_other_data(copilot, project, damage):
    """The middle of the file is zeroed, its end is cut off, or its first page is not SQLite's."""
    state = project.git_dir / "copilot"
    kept = state / "adapters" / "one" / "evidence.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"mine": 1}))
    project.git("config", "copilot.maxTokens", "31")
    settings = (project.git_dir / "config").read_bytes()
    copilot.ok("index")
    path = state / DATABASE_NAME
    for name in (f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"):
        (state / name).unlink(missing_ok=True)
    data = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "header":
        path.write_bytes(b"\0" * 4096 + data[4096:])
    else:
        path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    done = copilot.run("search", "alpha")
    text = done.stderr.decode()
    assert done.returncode == 1 and text.count("\n") == 1, text
    assert "index --rebuild" in text and "Traceback" not in text
    copilot.ok("index", "--rebuild")
    assert copilot.json("search", "alpha")["hits"]
    assert json.loads(kept.read_text()) == {"mine": 1}
    assert (project.git_dir / "config").read_bytes() == settings
