"""The shim under real git: silent, quick, harmless, and it notes each event."""

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


def lines(lab) -> list[str]:
    path = lab.state / "spool/events"
    return path.read_text().splitlines() if path.exists() else []


def hold_worker(lab) -> None:
    """Let nothing claim the events: the interpreter runs, but is no worker."""
    lab.interpreter.write_text("#!/bin/sh\nexit 0\n")


def test_the_shim_and_the_launcher_clear_the_same_variables():
    text = template().decode()
    cleared = set(
        re.search(r"unset (GIT_DIR[^&|;]*?)\n  trap", text)[1].replace("\\\n", " ").split()
    )
    assert cleared == set(INHERITED_VARIABLES)
    assert set(REPOSITORY_VARIABLES) <= cleared
    assert f"-P -m {WORKER_MODULE} " in text
    assert f"+{MAX_BYTES // 512})" in text


def test_each_hook_records_one_event(lab):
    lab.install()
    hold_worker(lab)
    head = lab.repo.commit({"a.txt": "b"})
    lab.repo.git("switch", "-q", "-c", "topic")
    lab.repo.git("checkout", "-q", "HEAD~1", "--", "a.txt")  # a file, not HEAD
    lab.repo.git("reset", "-q", "--hard")
    lab.repo.commit({"c.txt": "c"})
    lab.repo.git("commit", "-q", "--amend", "-m", "again")
    lab.repo.git("switch", "-q", "main")
    lab.repo.git("merge", "-q", "--no-ff", "-m", "m", "topic")
    noted = [tuple(line.split("\t")) for line in lines(lab)]
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
    "python file gone": lambda lab: (lab.state / "python").unlink(),
    "interpreter gone": lambda lab: lab.interpreter.unlink(),
    "interpreter not executable": lambda lab: lab.interpreter.chmod(0o644),
    "package gone": lambda lab: lab.interpreter.write_text("#!/bin/sh\necho trace >&2; exit 1\n"),
    "state gone": lambda lab: shutil.rmtree(lab.state),
    "state is a file": lambda lab: fill(lab.state),
    "spool gone": lambda lab: shutil.rmtree(lab.state / "spool"),
    "spool is a file": lambda lab: fill(lab.state / "spool"),
    "events cannot be written": lambda lab: (lab.state / "spool/events").mkdir(),
    "lock cannot be taken": lambda lab: (lab.state / "worker.lock").mkdir(),
    "pid is rubbish": lambda lab: (lab.state / "worker.pid").write_text("-1 ; touch x\n"),
    "pid cannot be read": lambda lab: (lab.state / "worker.pid").mkdir(),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_git_succeeds_silently_whatever_is_broken(lab, silent, breakage):
    lab.install()
    BREAKAGES[breakage](lab)
    silent(lab.repo, "commit", "-q", "--allow-empty", "-m", "x")
    silent(lab.repo, "switch", "-q", "-c", "other")
    if breakage.startswith(("python", "interpreter")):
        assert lines(lab) == []  # nobody would ever read them
    if breakage == "package gone":
        assert len(lines(lab)) == 2
    if breakage == "state gone":
        assert not lab.state.exists()
    if breakage == "pid is rubbish":
        lab.settle()
        assert lab.did(kind="sync")


def test_unread_events_stay_bounded(lab, silent):
    lab.install()
    hold_worker(lab)
    events = lab.state / "spool/events"
    events.write_bytes(b"post-commit\t-\t.\t\n" * (MAX_BYTES // 16))
    silent(lab.repo, "commit", "-q", "--allow-empty", "-m", "x")
    lab.until(lambda: events.stat().st_size < 100)
    lab.until(lambda: lines(lab) == ["post-commit\t-\t.\t"])


@pytest.mark.parametrize("proc", [True, False], ids=["proc", "no proc"])
@pytest.mark.parametrize("name", ["worker.pid", "worker.start"])
@pytest.mark.parametrize("who", ["worker", "stranger", "gone", "rubbish"])
def test_the_shim_recognises_a_running_worker(lab, name, who, proc):
    """By its folder where there is /proc, by its command line elsewhere (macOS)."""
    lab.install()
    lab.interpreter.write_text("#!/bin/sh\n: >>started\n")
    if not proc:
        hook = lab.repo.git_dir / "hooks/post-commit"
        hook.write_text(hook.read_text().replace("/proc/", "/no-proc/"))
    script = "sleep 20; : git_copilot" if who == "worker" else "sleep 20; :"
    other = subprocess.Popen(
        ["sh", "-c", script], cwd=lab.state if who == "worker" else "/", start_new_session=True
    )
    if who == "gone":
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
    (lab.state / name).write_text("-1\n" if who == "rubbish" else f"{other.pid}\n")
    lab.repo.git("commit", "-q", "--allow-empty", "-m", "x")
    if who == "worker":
        assert read_pid(lab.state, name) == other.pid  # else it would be another's, just started
        assert not (lab.state / "started").exists()
    else:
        lab.until((lab.state / "started").exists)
    assert lines(lab) == ["post-commit\t-\t.\t"]
    if who != "gone":
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()


def test_uninstalled_hooks_start_no_worker(lab, silent):
    lab.install()
    uninstall(GitRepository.discover(lab.repo.path))
    silent(lab.repo, "commit", "-q", "--allow-empty", "-m", "x")
    assert lines(lab) == []


def test_a_submodule_wakes_its_own_worker(lab, tmp_path):
    inner = type(lab.repo).init(tmp_path / "inner")
    inner.commit({"i": "i"})
    allow = ("-c", "protocol.file.allow=always")
    lab.repo.git(*allow, "submodule", "--quiet", "add", str(inner.path), "sub mödule")
    sub = type(lab.repo)(lab.repo.path / "sub mödule")
    found = GitRepository.discover(sub.path)
    hold_worker(lab)
    install(found, str(lab.interpreter))
    sub.commit({"j": "j"})
    assert (found.state_dir / "spool/events").read_text() == "post-commit\t-\t.\t\n"
    assert lines(lab) == []
