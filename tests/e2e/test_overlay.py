"""`search` and `complete` see files that are not committed."""

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


def test_the_first_search_after_a_pause_shows_the_current_files(copilot, project):
    """Through a server that knew the worktree as it was before."""
    copilot.ok("complete", "src/app.py:5", "--max-tokens", "1")  # starts it
    assert copilot.json("search", "alpha")["hits"][0]["path"] == "src/util.py"
    project.write({"src/util.py": "def omega(value):\n    return value\n"})
    found = copilot.json("search", "omega")
    assert found["hits"][0]["blob"] == project.git("hash-object", "src/util.py")
    assert found["index"] == {"tree": project.git("rev-parse", "HEAD^{tree}"), "fresh": True}
    (project.path / "src/util.py").unlink()
    project.write({"new.py": "def alpha(value):\n    return value\n", ".gitignore": "new.py\n"})
    paths = {hit["path"] for hit in copilot.json("search", "alpha")["hits"]}
    assert paths.isdisjoint({"src/util.py", "new.py"})
    (project.path / ".gitignore").unlink()
    assert "new.py" in {hit["path"] for hit in copilot.json("search", "alpha")["hits"]}


def test_a_cached_snippet_is_never_outdated(copilot, project):
    def blobs():
        answer = copilot.json("complete", "src/app.py:5")
        found = [s["blob"] for s in answer["snippets"] if s["path"] == "src/util.py"]
        assert found == wanted or not answer["index"]["fresh"]
        return found

    wanted = [project.git("rev-parse", "HEAD:src/util.py")]
    assert blobs() == wanted
    project.write({"src/util.py": "def alpha(value, unsaved_helper):\n    return value\n"})
    wanted, deadline = [project.git("hash-object", "src/util.py")], time.monotonic() + 30
    while (found := blobs()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)  # git may not answer between two keys
    assert found == wanted
