"""The shim under real git: silent, quick, harmless, and it records each event."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from git_copilot.hooks.block import template
from git_copilot.hooks.install import install, uninstall
from git_copilot.hooks.launch import INHERITED_VARIABLES, WORKER_MODULE
from git_copilot.hooks.lock import read_pid
from git_copilot.hooks.spool import MAX_BYTES
from git_copilot.index.git.environment import REPOSITORY_VARIABLES
from git_copilot.index.git.repository import GitRepository


def lines(stub_worker) -> list[str]:
    path = stub_worker.state / "spool/events"
    return path.read_text().splitlines() if path.exists() else []


def hold_worker(stub_worker) -> None:
    """Let nothing claim the events: the interpreter runs, but is no worker."""
    stub_worker.interpreter.write_text("#!/bin/sh\nexit 0\n")


def test_the_shim_and_the_launcher_clear_the_same_variables():
    text = template().decode()
    cleared = set(
        re.search(r"unset (GIT_DIR[^&|;]*?)\n  trap", text)[1].replace("\\\n", " ").split()
    )
    assert cleared == set(INHERITED_VARIABLES)
    assert set(REPOSITORY_VARIABLES) <= cleared
    assert f"-P -m {WORKER_MODULE} " in text
    assert f"+{MAX_BYTES // 512})" in text


def test_each_hook_records_one_event(stub_worker):
    stub_worker.install()
    hold_worker(stub_worker)
    head = stub_worker.repo.commit({"a.txt": "b"})
    stub_worker.repo.git("switch", "-q", "-c", "topic")
    stub_worker.repo.git("checkout", "-q", "HEAD~1", "--", "a.txt")  # a file, not HEAD
    stub_worker.repo.git("reset", "-q", "--hard")
    stub_worker.repo.commit({"c.txt": "c"})
    stub_worker.repo.git("commit", "-q", "--amend", "-m", "again")
    stub_worker.repo.git("switch", "-q", "main")
    stub_worker.repo.git("merge", "-q", "--no-ff", "-m", "m", "topic")
    noted = [tuple(line.split("\t")) for line in lines(stub_worker)]
    assert [(kind, view) for kind, _, view, _ in noted] == [
        ("post-commit", "."), ("post-checkout", "."), ("post-commit", "."), ("post-commit", "."),
        ("post-rewrite", "."), ("post-checkout", "."), ("post-merge", "."),
    ]  # fmt: skip
    assert noted[1][3] == f"{head} {head} 1"
    assert (noted[4][3], noted[6][3]) == ("amend", "0")


def fill(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("")


BREAKAGES = {
    "python file gone": lambda stub_worker: (stub_worker.state / "python").unlink(),
    "interpreter gone": lambda stub_worker: stub_worker.interpreter.unlink(),
    "interpreter not executable": lambda stub_worker: stub_worker.interpreter.chmod(0o644),
    "package gone": lambda stub_worker: stub_worker.interpreter.write_text(
        "#!/bin/sh\necho trace >&2; exit 1\n"
    ),
    "state gone": lambda stub_worker: shutil.rmtree(stub_worker.state),
    "state is a file": lambda stub_worker: fill(stub_worker.state),
    "spool gone": lambda stub_worker: shutil.rmtree(stub_worker.state / "spool"),
    "spool is a file": lambda stub_worker: fill(stub_worker.state / "spool"),
    "events cannot be written": lambda stub_worker: (stub_worker.state / "spool/events").mkdir(),
    "lock cannot be taken": lambda stub_worker: (stub_worker.state / "worker.lock").mkdir(),
    "pid is rubbish": lambda stub_worker: (stub_worker.state / "worker.pid").write_text(
        "-1 ; touch x\n"
    ),
    "pid cannot be read": lambda stub_worker: (stub_worker.state / "worker.pid").mkdir(),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_git_succeeds_silently_whatever_is_broken(stub_worker, git_silently, breakage):
    stub_worker.install()
    BREAKAGES[breakage](stub_worker)
    git_silently(stub_worker.repo, "commit", "-q", "--allow-empty", "-m", "x")
    git_silently(stub_worker.repo, "switch", "-q", "-c", "other")
    if breakage.startswith(("python", "interpreter")):
        assert lines(stub_worker) == []  # nobody would ever read them
    if breakage == "package gone":
        assert len(lines(stub_worker)) == 2
    if breakage == "state gone":
        assert not stub_worker.state.exists()
    if breakage == "pid is rubbish":
        stub_worker.wait_until_idle()
        assert stub_worker.jobs(kind="sync")


def test_unread_events_stay_bounded(stub_worker, git_silently):
    stub_worker.install()
    hold_worker(stub_worker)
    events = stub_worker.state / "spool/events"
    events.write_bytes(b"post-commit\t-\t.\t\n" * (MAX_BYTES // 16))
    git_silently(stub_worker.repo, "commit", "-q", "--allow-empty", "-m", "x")
    stub_worker.wait_for(lambda: events.stat().st_size < 100)
    stub_worker.wait_for(lambda: lines(stub_worker) == ["post-commit\t-\t.\t"])


@pytest.mark.parametrize("proc", [True, False], ids=["proc", "no proc"])
@pytest.mark.parametrize("name", ["worker.pid", "worker.start"])
@pytest.mark.parametrize("who", ["worker", "stranger", "gone", "rubbish"])
def test_the_shim_recognises_a_running_worker(stub_worker, name, who, proc):
    """By its folder where there is /proc, by its command line elsewhere (macOS)."""
    stub_worker.install()
    stub_worker.interpreter.write_text("#!/bin/sh\n: >>started\n")
    if not proc:
        hook = stub_worker.repo.git_dir / "hooks/post-commit"
        hook.write_text(hook.read_text().replace("/proc/", "/no-proc/"))
    script = "sleep 20; : git_copilot" if who == "worker" else "sleep 20; :"
    other = subprocess.Popen(
        ["sh", "-c", script],
        cwd=stub_worker.state if who == "worker" else "/",
        start_new_session=True,
    )
    if who == "gone":
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
    (stub_worker.state / name).write_text("-1\n" if who == "rubbish" else f"{other.pid}\n")
    stub_worker.repo.git("commit", "-q", "--allow-empty", "-m", "x")
    if who == "worker":
        assert (
            read_pid(stub_worker.state, name) == other.pid
        )  # else it would be another's, just started
        assert not (stub_worker.state / "started").exists()
    else:
        stub_worker.wait_for((stub_worker.state / "started").exists)
    assert lines(stub_worker) == ["post-commit\t-\t.\t"]
    if who != "gone":
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()


def test_uninstalled_hooks_start_no_worker(stub_worker, git_silently):
    stub_worker.install()
    uninstall(GitRepository.discover(stub_worker.repo.path))
    git_silently(stub_worker.repo, "commit", "-q", "--allow-empty", "-m", "x")
    assert lines(stub_worker) == []


def test_a_submodule_wakes_its_own_worker(stub_worker, tmp_path):
    inner = type(stub_worker.repo).init(tmp_path / "inner")
    inner.commit({"i": "i"})
    allow = ("-c", "protocol.file.allow=always")
    stub_worker.repo.git(*allow, "submodule", "--quiet", "add", str(inner.path), "sub mödule")
    sub = type(stub_worker.repo)(stub_worker.repo.path / "sub mödule")
    found = GitRepository.discover(sub.path)
    hold_worker(stub_worker)
    install(found, str(stub_worker.interpreter))
    sub.commit({"j": "j"})
    assert (found.state_dir / "spool/events").read_text() == "post-commit\t-\t.\t\n"
    assert lines(stub_worker) == []
