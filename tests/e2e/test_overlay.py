"""Work in progress counts: `search` and `complete` see files that are not committed."""

from __future__ import annotations

import time


def test_uncommitted_files_are_found_and_deleted_ones_are_not(copilot, project):
    project.write(
        {
            "src/util.py": "def alpha(value, unsaved_helper):\n    return unsaved_helper(value)\n",
            "src/new.py": "def brand_new_helper(value):\n    return alpha(value)\n",
        }
    )
    (best, *_) = copilot.json("search", "brand_new_helper")["hits"]
    assert best["path"] == "src/new.py" and "definition" in best["sources"]
    assert best["blob"] == project.git("hash-object", "src/new.py")
    snippets = copilot.json("complete", "src/app.py:5", "--no-server")["snippets"]
    blobs = {s["path"]: s["blob"] for s in snippets}
    assert blobs["src/util.py"] == project.git("hash-object", "src/util.py")
    old = copilot.json("complete", "src/app.py:5", "--no-server", "--at", "HEAD")["snippets"]
    assert [s["blob"] for s in old] == [project.git("rev-parse", "HEAD:src/util.py")]
    (project.path / "src/util.py").unlink()
    hits = copilot.json("search", "alpha")["hits"]
    assert "src/util.py" not in {h["path"] for h in hits}
    assert project.git("status", "--porcelain") == "D src/util.py\n?? src/new.py"


def test_a_snippet_that_stays_while_a_line_is_typed_is_never_an_old_one(copilot, project):
    def blobs():
        snippets = copilot.json("complete", "src/app.py:5")["snippets"]
        return [s["blob"] for s in snippets if s["path"] == "src/util.py"]

    assert blobs() == [project.git("rev-parse", "HEAD:src/util.py")]
    project.write({"src/util.py": "def alpha(value, unsaved_helper):\n    return value\n"})
    wanted, deadline = [project.git("hash-object", "src/util.py")], time.monotonic() + 30
    while (found := blobs()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)  # the server asks git what changed once in a while
    assert found == wanted
