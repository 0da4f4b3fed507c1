"""The doctor sees each trouble, names the command that mends it, and finds nothing in health."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from copilot_commands import BIN, Copilot
from gitrepo import GitRepo
from level import know

from git_copilot.assistant import client, doctor, integrity
from git_copilot.assistant.boundary import package_version
from git_copilot.assistant.config import load_settings
from git_copilot.assistant.jobs import ready_embedder
from git_copilot.hooks import doctor as hooks_doctor
from git_copilot.hooks import sources as sources_module
from git_copilot.hooks.check import ACTIONS
from git_copilot.hooks.events import HOOKS, Event
from git_copilot.hooks.install import MANAGER_LINE, install
from git_copilot.hooks.lock import START_FILE, WorkerLock, worker_alive
from git_copilot.hooks.spool import MAX_BYTES, Spool
from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.git import GitRepository
from git_copilot.index.vectors import load_vectors


class Ward:
    """A repository in full health, to be made ill."""

    def __init__(self, repo: GitRepo) -> None:
        self.repo = repo
        self.found = GitRepository.discover(repo.path)
        self.state = self.found.state_dir
        self.hooks = self.found.common_dir / "hooks"
        self.spool = Spool(self.state)

    def put(self, path: Path, text: str, mode: int = 0o755) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def interpreter(self, line: str) -> None:
        """Record an interpreter that is this one line of sh."""
        script = self.put(self.repo.path.parent / "odd python", f"#!/bin/sh\n{line}\n")
        (self.state / "python").write_text(f"{script}\n")

    def sql(self, statement: str) -> None:
        connection = sqlite3.connect(self.state / DATABASE_NAME, isolation_level=None)
        connection.execute(statement)
        connection.close()

    def queue(self, **more: object) -> None:
        """A queued job with this history."""
        self.spool.append(Event("post-commit", str(self.found.git_dir)))
        self.spool.collect()
        path = self.state / "spool/jobs.json"
        data = json.loads(path.read_text())
        data["jobs"][0].update(more)
        path.write_text(json.dumps(data))

    def look(self, **how: bool) -> list[doctor.Finding]:
        findings = doctor.examine(**how)
        assert all(finding.check and finding.message for finding in findings)
        assert not any("\n" in f"{finding.message}{finding.mend}" for finding in findings)
        return findings

    def ill(self, **how: bool) -> list[doctor.Finding]:
        return [finding for finding in self.look(**how) if finding.level != "ok"]


@pytest.fixture
def ward(repo, tiny_embedder, hermetic, runtime, tmp_path, monkeypatch):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    config = hermetic / ".gitconfig"
    config.write_text(f"{config.read_text()}\tmodel = {model}\n")
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (9, 0))  # whatever git is here
    monkeypatch.setattr(doctor, "LOW_MB", 0)
    monkeypatch.setattr(doctor, "FULL_MB", 0)
    repo.commit({"src/util.py": "def alpha(value):\n    return value\n"})
    monkeypatch.chdir(repo.path)
    made = Ward(repo)
    install(made.found, sys.executable)
    know(made.found)
    return made


def settle(state: Path) -> None:
    deadline = time.monotonic() + 30
    while Spool(state).pending() or worker_alive(state):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_in_health_there_is_nothing_to_mend(ward, tmp_path, monkeypatch):
    findings = ward.look(thorough=True)
    assert {finding.level for finding in findings} == {"ok"}
    assert not any(finding.mend for finding in findings)
    assert {finding.check for finding in findings} == {
        "repository", "git", "hooks", "shims", "interpreter", "spool", "worker", "settings",
        "database", "index", "vectors", "snapshot", "model", "embedder", "server", "disk",
    }  # fmt: skip
    told = [finding.message for finding in findings if finding.check == "hooks"]
    assert [line.partition(":")[0] for line in told[1:]] == list(HOOKS)
    ward.repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    monkeypatch.chdir(tmp_path / "linked")
    settle(ward.state)
    assert ward.ill() == []


def test_the_command_prints_lines_or_a_list_and_tells_by_its_exit_status(ward, monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    copilot = Copilot(ward.repo.path)
    findings = copilot.json("doctor")
    assert all(set(finding) == {"check", "level", "message", "mend"} for finding in findings)
    lines = copilot.ok("doctor").splitlines()
    assert len(lines) == len(findings)
    assert all(line.startswith("ok ") for line in lines if " disk " not in line)
    ward.spool.prepare()
    ward.queue()
    ward.spool.give_up(ward.spool.jobs()[0], "ValueError: bad\nblob")
    done = copilot.run("doctor")
    assert (done.returncode, done.stderr) == (1, b"")
    (line,) = [line for line in done.stdout.decode().splitlines() if line.startswith("fail")]
    assert "sync was given up" in line
    assert line.endswith("ValueError: bad blob; mend: git copilot doctor --retry")
    again = copilot.run("doctor", "--retry", "--json")
    assert b"one job is tried again" in again.stderr
    assert isinstance(json.loads(again.stdout), list)
    copilot.ok("status", "--wait")
    assert copilot.run("doctor").returncode == 0
    assert b"nothing was given up" in copilot.run("doctor", "--retry").stderr


def test_outside_of_a_repository(ward, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (found,) = ward.ill()
    assert (found.check, found.level) == ("repository", "warn")
    assert "is not in a Git repository" in found.message


def test_a_repository_that_was_never_initialised_stays_as_it_is(ward, tmp_path, monkeypatch):
    other = GitRepo.init(tmp_path / "other")
    monkeypatch.chdir(other.path)
    before = sorted(other.path.rglob("*"))
    (found,) = ward.ill()
    assert (found.check, found.level, found.mend) == ("repository", "warn", "git copilot init")
    assert sorted(other.path.rglob("*")) == before


def test_nothing_heavy_is_imported():
    code = (
        "import sys, git_copilot.assistant.commands_doctor\n"
        "print(*{'torch', 'numpy', 'faiss', 'transformers', 'model2vec'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def answer(missing: list[str], version: str = "") -> str:
    text = json.dumps({"missing": missing, "version": version or package_version()})
    return f"echo '{text}'"


def rot(ward: Ward) -> None:
    """Damage in the middle of the database, which opening it does not show."""
    path = ward.state / DATABASE_NAME
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 12] = b"\xff" * (4096 * 9)
    path.write_bytes(data)


def replaced_wrapper(ward: Ward) -> None:
    (ward.hooks / "post-merge").unlink()
    ward.put(ward.hooks / "post-merge", "#!/usr/bin/env python3\n")
    install(ward.found, sys.executable)
    ward.put(ward.hooks / "post-merge", "#!/bin/sh\n")


def left_waiting(ward: Ward) -> None:
    ward.spool.append(Event("post-commit", str(ward.found.git_dir)))
    os.utime(ward.state / "spool/events", (time.time() - 300, time.time() - 300))


def left_waiting_for_nobody(ward: Ward) -> None:
    left_waiting(ward)
    (ward.state / "python").unlink()


def truncated_snapshot(ward: Ward) -> None:
    with Database(ward.state / DATABASE_NAME) as db:
        vectors = load_vectors(db, ward.state, ready_embedder(load_settings(ward.found)))
        assert vectors is not None
        vectors.save(ward.state)
    assert ward.ill() == []
    os.truncate(ward.state / "vectors.faiss", 100)


def failed_job(ward: Ward) -> None:
    ward.put(
        ward.state / "log/worker.log",
        "2026-11-21 07:00:00,001 INFO sync SyncReport()\n"
        "2026-11-21 07:18:16,823 ERROR sync of /x/.git failed (attempt 1)\n"
        'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\n'
        "sqlite3.OperationalError: disk I/O error\n"
        "2026-11-21 07:18:17,000 ERROR sync of /x/.git was set aside after 3 attempts\n",
        0o644,
    )


def bad_default(ward: Ward, text: str) -> None:
    ward.repo.commit({".gitcopilot": text})
    know(ward.found)


def config(*words: str):
    return lambda ward: ward.repo.git("config", *words)


TROUBLES = {
    # name: (what goes wrong, check, level, what the message says, what the mend says)
    "no interpreter recorded": (
        lambda w: (w.state / "python").unlink(), "interpreter", "fail", "no interpreter", "install"),
    "interpreter gone": (
        lambda w: (w.state / "python").write_text("/nowhere/python\n"),
        "interpreter", "fail", "/nowhere/python is gone", "git copilot install"),
    "no Python at all": (
        lambda w: w.interpreter("exit 1"), "interpreter", "fail", "no Python that works", "install"),
    "package removed": (
        lambda w: w.interpreter(f'exec "{sys.executable}" -S "$@"'),
        "interpreter", "fail", "does not have git-copilot", "git copilot install"),
    "light environment": (
        lambda w: w.interpreter(answer(["faiss", "numpy"])),
        "interpreter", "fail", "lacks faiss, numpy", "pip install 'git-copilot[local]'"),
    "other version": (
        lambda w: w.interpreter(answer([], "0.0.1")), "interpreter", "warn", "0.0.1", "install"),
    "interpreter hangs": (
        lambda w: w.interpreter("exec sleep 30"), "interpreter", "fail", "does not answer", "install"),
    "hook removed": (
        lambda w: (w.hooks / "post-merge").unlink(),
        "hooks", "warn", "post-merge: nothing leads to us", "git copilot install"),
    "hook replaced": (
        lambda w: w.put(w.hooks / "post-merge", "#!/bin/sh\n"),
        "hooks", "warn", "only to a hook of yours", "git copilot install"),
    "hook switched off": (
        lambda w: (w.hooks / "post-merge").chmod(0o644),
        "hooks", "warn", "switched off", "chmod +x"),
    "hooks path elsewhere": (
        lambda w: (w.repo.git("config", "--global", "core.hooksPath", "~/h"),),
        "hooks", "warn", "post-commit: nothing", MANAGER_LINE),
    "old shim": (
        lambda w: w.put(w.hooks / "post-merge",
                        (w.hooks / "post-merge").read_text().replace("trap", "echo")),
        "shims", "warn", "of another version: post-merge", "git copilot install"),
    "old hook.sh": (
        lambda w: (w.state / "hook.sh").write_text("#\n"), "shims", "warn", "hook.sh", "install"),
    "wrapper replaced": (
        replaced_wrapper, "shims", "warn", "does not run any more", "git copilot install"),
    "configured, not installed": (
        lambda w: (shutil.rmtree(w.hooks),
                   w.put(w.repo.path / ".pre-commit-config.yaml", "- id: copilot-sync\n")),
        "pre-commit", "warn", "was not installed for post-commit", "pre-commit install -t post-co"),
    "spool gone": (
        lambda w: shutil.rmtree(w.state / "spool"), "spool", "fail", "is missing", "install"),
    "spool is a file": (
        lambda w: (shutil.rmtree(w.state / "spool"), (w.state / "spool").touch()),
        "spool", "fail", "is not a folder", "elsewhere"),
    "events is a folder": (
        lambda w: (w.state / "spool/events").mkdir(), "spool", "fail", "cannot be written", "chown"),
    "nobody takes events in": (
        lambda w: (w.state / "spool/events").write_bytes(b"\n" * MAX_BYTES),
        "spool", "warn", "nobody takes in", "status --wait"),
    "left waiting": (left_waiting, "worker", "warn", "none runs; 1 waiting, the oldest 5 min",
                     "git copilot status --wait"),
    "left waiting for nobody": (
        left_waiting_for_nobody, "worker", "fail", "none can be started", "git copilot install"),
    "killed again and again": (
        lambda w: w.queue(deaths=3), "queue", "warn", "3 workers in a row", "worker.log"),
    "failed": (failed_job, "log", "warn", "OperationalError: disk I/O error", "worker.log"),
    "no database": (
        lambda w: (w.state / DATABASE_NAME).unlink(),
        "repository", "warn", "does not know", "git copilot init"),
    "no database inside": (
        lambda w: (w.state / DATABASE_NAME).write_bytes(b"rubbish" * 1000),
        "database", "fail", "damaged", "git copilot index --rebuild"),
    "database rotten": (rot, "database", "fail", "damaged", "git copilot index --rebuild"),
    "database emptied": (
        lambda w: (w.state / DATABASE_NAME).write_bytes(b""),
        "database", "fail", "is empty", "git copilot index --rebuild"),
    "database of another version": (
        lambda w: w.sql("UPDATE meta SET value = '0' WHERE key = 'schema'"),
        "database", "fail", "another version", "git copilot index --rebuild"),
    "behind": (
        lambda w: w.repo.git("update-ref", "HEAD", w.repo.git(
            "commit-tree", "-m", "x", w.repo.git("mktree", stdin=""))),
        "index", "warn", "not for HEAD", "git copilot index"),
    "vectors missing": (
        lambda w: w.sql("DELETE FROM vectors"), "vectors", "warn", "by words only", "index"),
    "snapshot cut short": (truncated_snapshot, "snapshot", "warn", "cannot be read", "rm "),
    "model missing": (
        config("copilot.model", "smollm2-135m"),
        "model", "fail", "is not here yet", "git copilot model pull smollm2-135m"),
    "model unknown": (
        config("copilot.model", "nonsense"), "model", "fail", "no model", "git copilot model list"),
    "embedder missing": (
        config("copilot.embedder", "minilm-static"), "embedder", "warn", "not here", "model pull"),
    "misspelt": (
        config("--global", "copilot.maxTocens", "9"), "settings", "warn",
        "copilot.maxTokens is meant?", "git config --global --unset copilot.maxtocens"),
    "wrong kind": (
        config("copilot.snippets", "many"), "settings", "fail", "'many'",
        "git config --local --unset copilot.snippets"),
    "no action": (
        config("copilot.secrets", "maybe"), "settings", "fail", "'maybe', not warn or refuse",
        "git config --local --unset copilot.secrets"),
    "default of no use": (
        lambda w: bad_default(w, "[copilot]\n\tmodel = evil\n"),
        "settings", "warn", "only in your own configuration", "--unset copilot.model"),
    "default of the wrong kind": (
        lambda w: bad_default(w, "[copilot]\n\tsnippets = many\n"),
        "settings", "fail", ".gitcopilot", "--unset copilot.snippets"),
    "defaults malformed": (
        lambda w: bad_default(w, "[copilot\n"), "settings", "warn", "is not read", ".gitcopilot"),
    "adapter gone": (
        lambda w: w.put(w.state / "adapters/current", "20260101-000000-abcd\n"),
        "adapter", "warn", "20260101-000000-abcd", "git copilot adapter rollback"),
    "no private folder": (
        lambda _: client.runtime_dir().mkdir(mode=0o755), "server", "warn", "private", "mv "),
}  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_is_seen_and_its_mend_named(ward, trouble, monkeypatch):
    monkeypatch.setattr(hooks_doctor, "ASK_SECONDS", 1.0 if "hangs" in trouble else 20.0)
    break_it, check, level, says, mend = TROUBLES[trouble]
    break_it(ward)
    found = [f for f in ward.ill() if (f.check, f.level) == (check, level) and says in f.message]
    assert found, ward.ill()
    assert mend in found[0].mend


def test_switched_off_hooks_are_said_once_and_no_command_contradicts_the_user(ward):
    ward.repo.git("config", "core.hooksPath", "/dev/null")
    found = ward.ill()
    assert [finding.check for finding in found] == ["hooks"] * 5
    assert "switched off" in found[0].message and "local configuration" in found[0].message
    assert {finding.mend for finding in found} == {""}


def test_husky_with_our_line_is_healthy(ward):
    for hook in HOOKS:
        ward.put(ward.repo.path / ".husky/_" / hook, "#!/bin/sh\n")
        ward.put(ward.repo.path / ".husky" / hook, f"{MANAGER_LINE}\nnpm test\n", 0o644)
    ward.repo.git("config", "core.hooksPath", ".husky/_")
    assert ward.ill() == []
    told = [finding.message for finding in ward.look() if finding.check == "hooks"]
    assert "husky's" in told[0]
    assert told[1] == "post-commit: manager (.husky/post-commit), beside husky"
    (ward.state / "hook.sh").unlink()
    assert [(f.check, f.level) for f in ward.ill()] == [("shims", "fail")]


def test_hooks_in_the_configuration(ward, monkeypatch):
    ward.repo.git("config", "core.hooksPath", ".husky/_")
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (2, 0))
    assert {f.mend for f in ward.ill()} == {"git copilot install"}
    install(ward.found, sys.executable)
    assert ward.ill() == []
    told = [finding.message for finding in ward.look() if finding.check == "hooks"]
    assert told[1] == "post-commit: config (hook.git-copilot-post-commit)"
    ward.repo.git("config", "hook.git-copilot-post-merge.enabled", "false")
    (found,) = ward.ill()
    assert "post-merge: nothing leads to us" in found.message
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (9, 0))
    assert len([f for f in ward.ill() if "nothing leads to us" in f.message]) == len(HOOKS)


def test_what_else_fires_is_said(ward):
    ward.put(ward.hooks / "post-commit", "#!/bin/sh\necho mine\n")
    (ward.hooks / "post-merge").unlink()
    ward.put(ward.hooks / "post-merge", "#!/usr/bin/env python3\n")
    install(ward.found, sys.executable)
    told = {f.message.partition(":")[0]: f.message for f in ward.look() if f.check == "hooks"}
    assert told["post-commit"].endswith("beside your own lines there")
    assert told["post-merge"].endswith("beside post-merge.copilot-original")
    assert "beside" not in told["post-rewrite"]


def test_pre_commit_that_was_installed_is_healthy(ward, hermetic, monkeypatch):
    pytest.importorskip("pre_commit")
    monkeypatch.setenv("PRE_COMMIT_HOME", str(hermetic / "pre-commit"))
    shutil.rmtree(ward.hooks)
    ward.put(
        ward.repo.path / ".pre-commit-config.yaml",
        "repos:\n- repo: local\n  hooks:\n  - id: copilot-sync\n    name: x\n    entry: true\n"
        f"    language: system\n    stages: [{', '.join(HOOKS)}]\n",
        0o644,
    )
    (found,) = [finding for finding in ward.ill() if finding.check == "pre-commit"]
    words = found.mend.split()
    subprocess.run(
        [sys.executable, "-m", "pre_commit", *words[1:]], check=True, capture_output=True
    )
    assert ward.ill() == []
    told = [finding.message for finding in ward.look() if finding.check == "hooks"]
    assert told[1] == "post-commit: pre-commit (.pre-commit-config.yaml)"


def test_a_failure_that_passed_is_no_trouble(ward):
    failed_job(ward)
    with (ward.state / "log/worker.log").open("a") as log:
        log.write("2026-11-21 07:19:00,000 INFO sync SyncReport()\n")
    assert ward.ill() == []
    (told,) = [finding.message for finding in ward.look() if finding.check == "log"]
    assert told.endswith("1 went well since")


def test_a_worker_that_runs_is_healthy_unless_it_has_run_for_very_long(ward):
    with WorkerLock.acquire(ward.state):
        ward.queue(running_since=time.time() - 5)
        assert ward.ill() == []
        told = {finding.check: finding.message for finding in ward.look()}
        assert told["worker"].startswith(f"process {os.getpid()} runs sync, begun ")
        assert "; 2 waiting" in told["worker"]
        ward.queue(running_since=time.time() - 7200)
        (found,) = ward.ill()
        assert found.mend.startswith(f"kill {os.getpid()}")


def test_a_worker_that_never_gets_going_is_named(ward, monkeypatch):
    monkeypatch.chdir(ward.state)
    start = ward.state / START_FILE
    start.write_text(f"{os.getpid()}\n")
    assert not [f for f in ward.look() if f.check == "worker" and f.level != "ok"]
    os.utime(start, (time.time() - 600, time.time() - 600))
    (found,) = [f for f in ward.look() if f.check == "worker"]
    assert (found.level, found.mend) == ("warn", f"kill {os.getpid()}")


def test_a_database_that_is_busy_or_large_is_not_waited_for(ward, monkeypatch):
    monkeypatch.setattr(integrity, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(integrity, "STEPS", 1)
    told = {finding.check: finding for finding in ward.look()}
    assert told["database"].level == "ok" and "--thorough" in told["database"].message
    assert {f.check: f for f in ward.look(thorough=True)}["database"].message.endswith("whole")
    holder = sqlite3.connect(ward.state / DATABASE_NAME, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("CREATE TABLE held (x)")
    begun = time.monotonic()
    (found,) = ward.ill()
    assert (found.check, found.level) == ("database", "warn")
    assert time.monotonic() - begun < 15
    holder.close()


def test_a_server_that_does_not_answer(ward):
    folder = client.secure_runtime_dir()
    assert folder.is_relative_to(os.environ["XDG_RUNTIME_DIR"])
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(client.socket_path()))
        deaf.listen()
        (found,) = ward.ill()
    assert (found.check, found.mend) == ("server", "git copilot serve --stop")


@pytest.mark.parametrize("action", ACTIONS)
def test_the_actions_of_the_secrets_hook_are_known(ward, action):
    ward.repo.git("config", "copilot.secrets", action)
    assert ward.ill() == []


def test_little_room(ward, monkeypatch):
    monkeypatch.setattr(doctor, "LOW_MB", 10**9)
    assert [(finding.check, finding.level) for finding in ward.ill()] == [("disk", "warn")]
    monkeypatch.setattr(doctor, "FULL_MB", 10**9)
    assert [(finding.check, finding.level) for finding in ward.ill()] == [("disk", "fail")]


def test_a_bare_repository_says_what_does_not_apply(ward, tmp_path, monkeypatch):
    bare = GitRepo(tmp_path / "bare.git")
    ward.repo.git("clone", "-q", "--bare", ".", str(bare.path))
    monkeypatch.chdir(bare.path)
    found = GitRepository.discover(bare.path)
    install(found, sys.executable)
    know(found)
    assert ward.ill() == []
    (told,) = [finding.message for finding in ward.look() if finding.check == "hooks"]
    assert "only pushes change it" in told


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_repository_of_somebody_else(ward):
    os.chown(ward.repo.path, 65534, 65534)
    os.chown(ward.found.common_dir, 65534, 65534)
    (found,) = ward.ill()
    assert (found.check, found.level) == ("repository", "fail")
    assert found.mend == f"git config --global --add safe.directory '{ward.found.common_dir}'" or (
        found.mend == f"git config --global --add safe.directory '{ward.repo.path}'"
    )
    subprocess.run(found.mend, shell=True, check=True)
    assert ward.ill() == []


@pytest.mark.parametrize(
    "hooks",
    [
        "hooks: [{id: copilot-sync}, {id: copilot-refresh}, {id: copilot-secrets}]\n",
        "hooks:\n  - id: 'copilot-refresh'  # id: other\n  - id: copilot-sync\n",
    ],
)
def test_every_id_in_pre_commits_configuration_counts(ward, hooks):
    text = f"repos:\n- repo: https://example.org/x\n  rev: v1\n  {hooks}"
    ward.put(ward.repo.path / ".pre-commit-config.yaml", text, 0o644)
    assert sources_module.configured_stages(GitRepository.discover(ward.repo.path)) == set(HOOKS)


def test_a_comment_configures_nothing(ward):
    ward.put(ward.repo.path / ".pre-commit-config.yaml", "repos: []  # id: copilot-sync\n", 0o644)
    assert sources_module.configured_stages(GitRepository.discover(ward.repo.path)) == set()
