"""The doctor reports ok in a healthy repository, and sees what runs, waits or hangs."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from git_copilot.assistant.client import address
from git_copilot.assistant.diagnostics import doctor, integrity
from git_copilot.hooks.check import ACTIONS
from git_copilot.hooks.events import HOOKS
from git_copilot.hooks.install import install
from git_copilot.hooks.lock import START_FILE, WorkerLock, worker_alive
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME
from tests.support.commands import BIN, Copilot
from tests.support.gitrepo import GitRepo
from tests.support.index_assertions import index_repository

pytestmark = pytest.mark.e2e


def settle(state: Path) -> None:
    deadline = time.monotonic() + 30
    while Spool(state).pending() or worker_alive(state):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_healthy_repository_has_only_ok_findings(doctor_repo, tmp_path, monkeypatch):
    findings = doctor_repo.examine(thorough=True)
    assert {finding.level for finding in findings} == {"ok"}
    assert not any(finding.mend for finding in findings)
    assert {finding.check for finding in findings} == {
        "repository", "git", "hooks", "shims", "interpreter", "spool", "worker", "settings",
        "database", "index", "vectors", "snapshot", "model", "embedder", "precision", "server", "disk",
        "objects",
    }  # fmt: skip
    told = [finding.message for finding in findings if finding.check == "hooks"]
    assert [line.partition(":")[0] for line in told[1:]] == list(HOOKS)
    doctor_repo.repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    monkeypatch.chdir(tmp_path / "linked")
    settle(doctor_repo.state)
    assert doctor_repo.problems() == []


def test_doctor_prints_text_or_json_and_its_exit_status_tells_the_result(doctor_repo, monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    copilot = Copilot(doctor_repo.repo.path)
    findings = copilot.json("doctor")
    assert all(set(finding) == {"check", "level", "message", "mend"} for finding in findings)
    lines = copilot.ok("doctor").splitlines()
    assert len(lines) == len(findings)
    assert all(line.startswith("ok ") for line in lines if " disk " not in line)
    doctor_repo.spool.prepare()
    doctor_repo.queue_job()
    doctor_repo.spool.give_up(doctor_repo.spool.jobs()[0], "ValueError: bad\nblob")
    done = copilot.run("doctor")
    assert (done.returncode, done.stderr) == (1, b"")
    (line,) = [line for line in done.stdout.decode().splitlines() if line.startswith("fail")]
    assert "sync was given up" in line
    assert line.endswith("ValueError: bad blob; fix: git copilot doctor --retry")
    again = copilot.run("doctor", "--retry", "--json")
    assert b"one job is tried again" in again.stderr
    assert isinstance(json.loads(again.stdout), list)
    copilot.ok("status", "--wait")
    assert copilot.run("doctor").returncode == 0
    assert b"nothing was given up" in copilot.run("doctor", "--retry").stderr


def test_doctor_outside_a_repository_says_so(doctor_repo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (found,) = doctor_repo.problems()
    assert (found.check, found.level) == ("repository", "warn")
    assert "is not in a Git repository" in found.message


def test_doctor_does_not_touch_an_uninitialised_repository(doctor_repo, tmp_path, monkeypatch):
    other = GitRepo.init(tmp_path / "other")
    monkeypatch.chdir(other.path)
    before = sorted(other.path.rglob("*"))
    (found,) = doctor_repo.problems()
    assert (found.check, found.level, found.mend) == ("repository", "warn", "git copilot init")
    assert sorted(other.path.rglob("*")) == before


def test_doctor_imports_no_heavy_library():
    code = (
        "import sys, git_copilot.assistant.cli.commands.doctor\n"
        "print(*{'torch', 'numpy', 'faiss', 'transformers', 'model2vec'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_running_worker_is_healthy_unless_it_runs_very_long(doctor_repo):
    with WorkerLock.acquire(doctor_repo.state):
        doctor_repo.queue_job(running_since=time.time() - 5)
        assert doctor_repo.problems() == []
        told = {finding.check: finding.message for finding in doctor_repo.examine()}
        assert told["worker"].startswith(f"process {os.getpid()} runs sync, started ")
        assert "; 2 waiting" in told["worker"]
        doctor_repo.queue_job(running_since=time.time() - 7200)
        (found,) = doctor_repo.problems()
        assert found.mend.startswith(f"kill {os.getpid()}")


def test_a_worker_that_never_starts_is_reported(doctor_repo, monkeypatch):
    monkeypatch.chdir(doctor_repo.state)
    start = doctor_repo.state / START_FILE
    start.write_text(f"{os.getpid()}\n")
    assert not [f for f in doctor_repo.examine() if f.check == "worker" and f.level != "ok"]
    os.utime(start, (time.time() - 600, time.time() - 600))
    (found,) = [f for f in doctor_repo.examine() if f.check == "worker"]
    assert (found.level, found.mend) == ("warn", f"kill {os.getpid()}")


def test_a_busy_or_large_database_is_not_waited_for(doctor_repo, monkeypatch):
    monkeypatch.setattr(integrity, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(integrity, "STEPS", 1)
    told = {finding.check: finding for finding in doctor_repo.examine()}
    assert told["database"].level == "ok" and "--thorough" in told["database"].message
    assert {f.check: f for f in doctor_repo.examine(thorough=True)}["database"].message.endswith(
        "whole"
    )
    holder = sqlite3.connect(doctor_repo.state / DATABASE_NAME, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("CREATE TABLE held (x)")
    begun = time.monotonic()
    (found,) = doctor_repo.problems()
    assert (found.check, found.level) == ("database", "warn")
    assert time.monotonic() - begun < 15
    holder.close()


def test_an_unresponsive_server_is_reported(doctor_repo):
    folder = address.secure_runtime_dir()
    assert folder.is_relative_to(os.environ["XDG_RUNTIME_DIR"])
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(address.socket_path()))
        deaf.listen()
        (found,) = doctor_repo.problems()
    assert (found.check, found.mend) == ("server", "git copilot serve --stop")


@pytest.mark.parametrize("action", ACTIONS)
def test_valid_actions_of_the_secrets_hook_are_accepted(doctor_repo, action):
    doctor_repo.repo.git("config", "copilot.secrets", action)
    assert doctor_repo.problems() == []


def test_little_disk_space_warns_and_almost_none_fails(doctor_repo, monkeypatch):
    monkeypatch.setattr(doctor, "LOW_MB", 10**9)
    assert [(finding.check, finding.level) for finding in doctor_repo.problems()] == [
        ("disk", "warn")
    ]
    monkeypatch.setattr(doctor, "FULL_MB", 10**9)
    assert [(finding.check, finding.level) for finding in doctor_repo.problems()] == [
        ("disk", "fail")
    ]


def test_a_bare_repository_skips_checks_that_do_not_apply(doctor_repo, tmp_path, monkeypatch):
    bare = GitRepo(tmp_path / "bare.git")
    doctor_repo.repo.git("clone", "-q", "--bare", ".", str(bare.path))
    monkeypatch.chdir(bare.path)
    found = GitRepository.discover(bare.path)
    install(found, sys.executable)
    index_repository(found)
    assert doctor_repo.problems() == []
    (told,) = [finding.message for finding in doctor_repo.examine() if finding.check == "hooks"]
    assert "changed by pushes only" in told


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_owner_is_reported(doctor_repo):
    os.chown(doctor_repo.repo.path, 65534, 65534)
    os.chown(doctor_repo.found.common_dir, 65534, 65534)
    (found,) = doctor_repo.problems()
    assert (found.check, found.level) == ("repository", "fail")
    assert (
        found.mend == f"git config --global --add safe.directory '{doctor_repo.found.common_dir}'"
        or (found.mend == f"git config --global --add safe.directory '{doctor_repo.repo.path}'")
    )
    subprocess.run(found.mend, shell=True, check=True)
    assert doctor_repo.problems() == []
