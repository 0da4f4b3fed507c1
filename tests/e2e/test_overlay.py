"""Work in progress counts: `search` and `complete` see files that are not committed."""

from __future__ import annotations


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
