"""The server, the worker and refreshes, as a user meets them."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.commands import assert_one_line


def test_the_first_call_starts_a_server_and_announces_it_once(copilot):
    first = copilot.run("complete", "src/app.py:5")
    assert b"started a server" in first.stderr and first.returncode == 0
    second = copilot.run("complete", "src/app.py:5")
    assert second.stderr == b"" and second.stdout == first.stdout
    facts = copilot.json("serve", "--status")
    assert facts["running"] and facts["requests"] == 2
    assert copilot.json("complete", "src/app.py:5")["cached_tokens"] > 0
    assert copilot.run("complete", "src/app.py:5", "--no-server").stdout == first.stdout
    copilot.ok("serve", "--stop")
    assert copilot.json("serve", "--status")["running"] is False


def test_a_killed_server_is_replaced(copilot):
    copilot.ok("complete", "src/app.py:5")
    os.kill(copilot.json("serve", "--status")["pid"], signal.SIGKILL)
    time.sleep(0.2)
    done = copilot.run("complete", "src/app.py:5")
    assert done.returncode == 0 and b"started a server" in done.stderr


def test_a_stuck_server_is_reported_and_can_be_stopped(copilot):
    copilot.ok("complete", "src/app.py:5")
    pid = copilot.json("serve", "--status")["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert copilot.json("status")["server"] == {"running": True, "pid": pid, "answers": False}
    assert f"pid {pid}, does not answer: `git copilot serve --stop`" in copilot.ok("status")
    assert copilot.json("serve", "--status") == {"running": True, "pid": pid, "answers": False}
    assert f"server {pid} does not answer within 1 s" in copilot.ok("serve", "--status")
    assert_one_line(copilot.run("serve"), 1, f"server {pid}", "serve --stop")
    done = copilot.run("serve", "--stop")
    assert assert_one_line(done, 0, f"server {pid} did not stop when asked and was ended (SIGTERM)")
    done = copilot.run("complete", "src/app.py:5")
    assert done.returncode == 0 and b"started a server" in done.stderr
    pid = copilot.json("serve", "--status")["pid"]
    assert assert_one_line(copilot.run("serve", "--stop"), 0, f"server {pid} stopped")
    assert assert_one_line(copilot.run("serve", "--stop"), 0, "no server is running")


def test_concurrent_first_calls_leave_one_server(copilot, project):
    calls = [
        subprocess.Popen(
            ["git", "copilot", "complete", "src/app.py:5"],
            cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    ended = [(call.communicate(timeout=100), call.returncode) for call in calls]
    assert len({out for (out, _), _ in ended}) == 1 and {code for _, code in ended} == {0}
    named = re.findall(rb"started a server \(pid (\d+)\)", b"".join(err for (_, err), _ in ended))
    assert [int(pid) for pid in named] == [copilot.json("serve", "--status")["pid"]]


def test_errors_through_the_server_equal_those_without_it(copilot, tmp_path):
    copilot.ok("complete", "src/app.py:5")
    assert_one_line(copilot.run("complete", "src/app.py:99"), 1, "has 6 lines")
    assert_one_line(copilot.run("complete", "src/app.py:5", "-n", "0"), 2)
    assert_one_line(copilot.run("complete", "x.py:1", cwd=tmp_path), 1, "does not exist")


def test_no_server_is_used_when_declined(copilot, project):
    project.git("config", "copilot.server", "false")
    done = copilot.run("complete", "src/app.py:5")
    assert done.returncode == 0 and done.stderr == b""
    assert copilot.json("serve", "--status")["running"] is False


REFRESH_FIELDS = {
    "candidate", "incumbent", "base_model", "commits", "holes", "arms", "delta_em", "ci95",
    "p_value", "regression_guard", "promoted", "reason", "seed", "settings", "seconds",
}  # fmt: skip


def write_history(project, commits=16):
    """Commits of functions with distinct words: enough holes to train on and to evaluate, and
    no near duplicates."""
    for i in range(commits):
        rng = random.Random(i)
        words = ["".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(60)]
        body = "".join(
            f"def {w[0]}({w[1]}, {w[2]}):\n    {w[3]} = {w[4]}.{w[5]}({w[1]}, {w[6]})\n"
            f"    {w[7]}[{w[3]}] = {w[8]} - {w[2]}\n    return {w[9]}({w[3]}, {w[7]})\n\n\n"
            for w in (words[k : k + 10] for k in range(0, 60, 10))
        )
        project.commit({f"src/m{i}.py": body})


def test_a_refresh_starts_automatically_after_enough_commits(copilot, project):
    project.git("config", "copilot.refreshCommits", "10")
    project.git("config", "copilot.refreshHoles", "20")
    write_history(project, 16)
    copilot.ok("status", "--wait", "--timeout", "60")
    deadline = time.monotonic() + 120
    while not copilot.json("adapter", "list"):
        log = project.git_dir / "copilot" / "log" / "refresh.log"
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "never started"
        time.sleep(1)
    (adapter,) = copilot.json("adapter", "list")
    assert adapter["commits"]["held_out"][1] in project.git("rev-list", "HEAD")


def test_refresh_json_has_the_documented_fields_and_exit_code(copilot, project):
    write_history(project)
    copilot.ok("status", "--wait", "--timeout", "60")
    sizes = ("--holes", "30", "--held-out", "24", "--minutes", "10")
    done = copilot.run("refresh", "--json", *sizes)
    evidence = json.loads(done.stdout)
    assert evidence["plan"]["learn"] <= 30 and evidence["plan"]["limit"] == 600
    assert b"plan: learn from" in done.stderr
    assert set(evidence) >= REFRESH_FIELDS
    assert done.returncode == (0 if evidence["promoted"] else 4)
    assert set(evidence["arms"]) == {"base", "incumbent", "candidate"}
    for arm in evidence["arms"].values():
        assert {"em", "es", "nll"} <= set(arm)
    assert set(evidence["commits"]) == {"train", "held_out"}
    assert set(evidence["holes"]) == {"train", "held_out"}
    (listed,) = copilot.json("adapter", "list")
    assert listed["id"] == evidence["candidate"]
    assert listed["current"] is evidence["promoted"]
    copilot.ok("adapter", "use", listed["id"])
    answer = copilot.json("complete", "src/app.py:5", "--no-server")
    assert answer["adapter"] == listed["id"]
    assert copilot.json("complete", "src/app.py:5", "--adapter", "none")["adapter"] is None
    weights = project.git_dir / "copilot" / "adapters" / listed["id"] / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    done = copilot.run("complete", "src/app.py:5", "--json")
    assert json.loads(done.stdout)["adapter"] is None
    assert b"cut short" in done.stderr and b"Traceback" not in done.stderr


def test_a_dry_run_has_the_documented_fields_and_trains_nothing(copilot, project):
    write_history(project)
    copilot.ok("status", "--wait", "--timeout", "60")
    facts = copilot.json("refresh", "--dry-run", "--holes", "30", "--held-out", "24")
    assert facts["dry_run"] is True
    assert facts["learn"]["passages"] + facts["learn"]["holes"] <= 30
    assert facts["judge"]["holes"] == 24
    assert facts["plan"]["total"] > 0
    assert set(facts) == {
        "dry_run", "base_model", "incumbent", "started_from", "learn", "judge", "plan", "enough",
    }  # fmt: skip
    assert copilot.json("adapter", "list") == []


def test_a_refresh_in_the_background_is_seen_by_status_until_it_ends(copilot, project):
    write_history(project)
    copilot.ok("status", "--wait", "--timeout", "60")
    sizes = ("--holes", "30", "--held-out", "24")
    started = copilot.json("refresh", "--background", *sizes)
    assert started["background"] is True
    deadline = time.monotonic() + 120
    phases = set()
    while not copilot.json("adapter", "list"):
        seen = copilot.json("status")["refresh"]
        phases.add(seen["phase"])
        assert seen["pid"] in (None, started["pid"])
        assert time.monotonic() < deadline, Path(started["log"]).read_text()
    assert phases - {None}
    assert "promoted" in Path(started["log"]).read_text() or copilot.json("adapter", "list")


def test_a_refresh_that_waits_for_the_night_does_not_keep_anyone_from_training(copilot, project):
    write_history(project)
    copilot.ok("status", "--wait", "--timeout", "60")
    project.git("config", "copilot.refreshWhen", "idle")
    started = copilot.json("refresh", "--background")
    try:
        while copilot.json("status")["refresh"]["waits"] is None:
            time.sleep(0.1)
        assert_one_line(copilot.run("refresh", "--background"), 1, "git copilot status")
        done = copilot.run("refresh", "--holes", "30", "--held-out", "24", "--json")
        assert json.loads(done.stdout)["candidate"], done.stderr
    finally:
        os.kill(started["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while copilot.json("status")["refresh"]["pid"] is not None:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "options",
    [
        ("--dry-run", "--background"),
        ("--when", "night"),
        ("--background", "--report", "page.html"),
        ("--dry-run", "--report", "page.html"),
    ],
)
def test_options_of_a_refresh_that_mean_nothing_together_are_refused(copilot, options):
    assert_one_line(copilot.run("refresh", *options), 2, "--")


def test_refresh_with_too_few_holes_is_a_one_line_error(copilot):
    assert_one_line(copilot.run("refresh"), 1, "holes")


def test_a_refresh_without_time_is_a_one_line_error(copilot, project):
    write_history(project)
    copilot.ok("status", "--wait", "--timeout", "60")
    assert_one_line(copilot.run("refresh", "--minutes", "0.0001"), 1, "--minutes")
    assert copilot.run("refresh", "--minutes", "0").returncode == 2
    assert copilot.json("adapter", "list") == []


def test_the_hook_command_hands_over_to_the_recorded_interpreter(project, bare_commands):
    """As pre-commit runs it: our hooks are not installed, only the entry point is."""
    bare_commands.path = project.path
    bare_commands.ok("init", "--no-hooks")
    project.commit({"src/fresh.py": "def entirely_new_helper():\n    return 3\n"})
    subprocess.run(
        ["git-copilot-hook"], cwd=project.path, check=True, env={**os.environ, "PRE_COMMIT": "1"}
    )
    status = bare_commands.json("status", "--wait", "--timeout", "60")
    assert status["index"]["fresh"] and status["queue"]["pending"] == 0
    assert status["hooks"]["installed"] == []


def test_status_wait_reports_that_no_worker_can_start(copilot, project):
    (project.git_dir / "copilot" / "python").unlink()
    with (project.git_dir / "copilot" / "spool" / "events").open("a") as spool:
        spool.write("post-commit\t1700000000\t.\t\n")
    done = copilot.run("status", "--wait", "--timeout", "60")
    assert done.returncode == 1 and b"git copilot install" in done.stderr
