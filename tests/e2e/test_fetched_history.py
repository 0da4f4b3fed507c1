"""Fetched history is mined without a hook, and missing objects are reported with a remedy."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.commands import Copilot
from tests.support.gitrepo import GitRepo


@pytest.fixture
def clone(project, tmp_path):
    """A function that clones the project with options and initialises the clone."""
    for i in range(4):
        project.commit({f"src/more_{i}.py": f"def more_{i}(value):\n    return value + {i}\n"})
    project.git("config", "uploadpack.allowFilter", "true")

    def make(*options):
        path = tmp_path / "clone"
        project.git("clone", "-q", *options, f"file://{project.path}", str(path))
        commands = Copilot(path)
        return GitRepo(path), commands, commands.ok("init", "--no-hooks")

    return make


def commits(copilot):
    return copilot.json("corpus", "--no-update")["status"]


def test_index_command_mines_deepened_history(clone):
    shallow, copilot, said = clone("--depth=2")
    assert "shallow" in said and "`git fetch --unshallow`" in said
    assert commits(copilot) == {"mined": 1, "shallow": 1}
    shallow.git("fetch", "-q", "--unshallow")
    assert "commits mined" in copilot.ok("index")
    assert set(commits(copilot)) == {"mined"}
    assert copilot.json("status")["missing"]["remedy"] == ""


@pytest.mark.parametrize("how", ["wait", "query"])
def test_status_wait_and_queries_notice_deepened_history(clone, how):
    shallow, copilot, _ = clone("--depth=2")
    shallow.git("fetch", "-q", "--unshallow")
    if how == "query":
        copilot.ok("search", "more_1")
        deadline = time.monotonic() + 60
        while set(commits(copilot)) != {"mined"} and time.monotonic() < deadline:
            time.sleep(0.2)
    copilot.ok("status", "--wait", "--timeout", "60")
    assert set(commits(copilot)) == {"mined"}


def test_a_blobless_clone_reports_missing_objects_with_a_remedy(clone):
    partial, copilot, said = clone("--filter=blob:none", "--no-checkout")
    (remedy,) = {
        copilot.json("corpus", "--no-update")["missing"]["remedy"],
        copilot.json("status")["missing"]["remedy"],
    }
    assert remedy == "git fetch --refetch --no-filter origin"
    for text in (said, copilot.ok("status"), copilot.ok("corpus"), copilot.ok("index")):
        assert "missing" in text and f"`{remedy}`" in text
    findings = json.loads(copilot.run("doctor", "--json").stdout)
    (finding,) = [f for f in findings if f["check"] == "objects"]
    assert finding["level"] == "warn" and remedy in finding["mend"]
    assert commits(copilot).keys() == {"missing"}
    partial.git(*remedy.split()[1:])
    copilot.ok("index")
    assert commits(copilot).keys() == {"mined"}
    assert copilot.json("status")["missing"]["files"] == 0
    partial.git("checkout", "-q", "HEAD", "--", ".")
    assert copilot.json("search", "more_1")["hits"][0]["path"] == "src/more_1.py"
