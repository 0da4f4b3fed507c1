"""A command prints the same whether the warm server answers it or this process does."""

from __future__ import annotations

import json
import subprocess

import pytest

HERE = {"GIT_COPILOT_SERVER": "0"}


@pytest.fixture
def warm(copilot, project):
    """Commands of a project whose server runs, and whose answers do not depend on the clock."""
    for name in ("latencyMs", "timeLimitMs"):
        project.git("config", f"copilot.{name}", "0")
    copilot.ok("serve")
    return copilot


COMMANDS = (
    ("complete", "src/app.py:5"),
    ("complete", "src/app.py:5", "-n", "3"),
    ("complete", "src/app.py:9999"),
    ("complete", "gone.py:1"),
    ("complete", "src/app.py:1", "--adapter", "none", "--max-tokens", "3"),
    ("complete", "src/app.py:1", "--adapter", "nothing"),
    ("complete", "src/app.py:1", "--model", "nothing"),
    ("search", "alpha"),
    ("search", "alpha", "--json"),
    ("search", "zzqqxx"),
    ("search", "-n", "1000", "x"),
    ("feedback", "cmpl-0", "accepted"),
    ("feedback", "cmpl-0", "liked"),
)


def test_output_is_the_same_with_and_without_a_server(warm):
    for argv in COMMANDS:
        here, there = warm.run(*argv, **HERE), warm.run(*argv)
        assert (there.returncode, there.stdout) == (here.returncode, here.stdout), argv
        assert there.stderr == here.stderr, argv


def test_json_is_the_same_with_and_without_a_server(warm):
    here, there = (warm.json("complete", "src/app.py:5", **env) for env in (HERE, {}))
    for answer in (here, there):
        del answer["timings_ms"], answer["cached_tokens"]
    assert there == here and list(here)[:3] == ["id", "completion", "file"]


def test_search_paths_are_relative_to_the_callers_folder(warm, project):
    for env in (HERE, {}):
        shown = warm.ok("search", "alpha", cwd=project.path / "src", **env)
        assert shown.startswith("../src/util.py:1\n")


def test_explain_and_write_work_through_the_server(warm, project):
    here, there = (warm.run("complete", "src/app.py:5", "--explain", **env) for env in (HERE, {}))
    assert there.stdout == here.stdout
    assert there.stderr.split(b"prompt text")[1] == here.stderr.split(b"prompt text")[1]
    explained = warm.json("complete", "src/app.py:5", "--explain")["explain"]
    assert explained["prompt"] and explained["found"] >= 1
    served = json.loads(warm.ok("serve", "--status", "--json"))["requests"]
    path = project.path / "src" / "app.py"
    before = path.read_text()
    completion = warm.json("complete", "src/app.py:5", "--write")["completion"]
    assert path.read_text() == before.replace("alpha(name)\n", f"alpha(name){completion}\n")
    assert json.loads(warm.ok("serve", "--status", "--json"))["requests"] == served + 1


def test_a_closed_output_pipe_is_no_failure(warm):
    for env in (HERE, {}):
        done = warm.run("search", "alpha", "beta", **env)
        assert done.returncode == 0
    script = "set -o pipefail; git copilot search alpha beta name value | head -1 >&2"
    done = subprocess.run(["bash", "-c", script], cwd=warm.path, capture_output=True, timeout=60)
    assert done.stderr.count(b"\n") == 1 and b"Exception" not in done.stderr
