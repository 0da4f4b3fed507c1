"""The doctor reports each problem with the command that fixes it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from git_copilot.assistant.client import address
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.core.error_handler import package_version
from git_copilot.assistant.models.embedder import ready_embedder
from git_copilot.hooks import doctor as hooks_doctor
from git_copilot.hooks.events import Event
from git_copilot.hooks.install import MANAGER_LINE, install
from git_copilot.hooks.spool import MAX_BYTES
from git_copilot.index.embedding.vectors import load_vectors
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.doctor_repo import DoctorRepo
from tests.support.index_assertions import index_repository

pytestmark = pytest.mark.e2e


def answer(missing: list[str], version: str = "") -> str:
    text = json.dumps({"missing": missing, "version": version or package_version()})
    return f"echo '{text}'"


def rot(doctor_repo: DoctorRepo) -> None:
    """Damage in the middle of the database, which opening it does not show."""
    path = doctor_repo.state / DATABASE_NAME
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 12] = b"\xff" * (4096 * 9)
    path.write_bytes(data)


def replaced_wrapper(doctor_repo: DoctorRepo) -> None:
    (doctor_repo.hooks / "post-merge").unlink()
    doctor_repo.write_file(doctor_repo.hooks / "post-merge", "#!/usr/bin/env python3\n")
    install(doctor_repo.found, sys.executable)
    doctor_repo.write_file(doctor_repo.hooks / "post-merge", "#!/bin/sh\n")


def left_waiting(doctor_repo: DoctorRepo) -> None:
    doctor_repo.spool.append(Event("post-commit", str(doctor_repo.found.git_dir)))
    os.utime(doctor_repo.state / "spool/events", (time.time() - 300, time.time() - 300))


def left_waiting_for_nobody(doctor_repo: DoctorRepo) -> None:
    left_waiting(doctor_repo)
    (doctor_repo.state / "python").unlink()


def truncated_snapshot(doctor_repo: DoctorRepo) -> None:
    with Database(doctor_repo.state / DATABASE_NAME) as db:
        vectors = load_vectors(
            db, doctor_repo.state, ready_embedder(load_settings(doctor_repo.found))
        )
        assert vectors is not None
        vectors.save(doctor_repo.state)
    assert doctor_repo.problems() == []
    os.truncate(doctor_repo.state / "vectors.faiss", 100)


def failed_job(doctor_repo: DoctorRepo) -> None:
    doctor_repo.write_file(
        doctor_repo.state / "log/worker.log",
        "2026-11-21 07:00:00,001 INFO sync SyncReport()\n"
        "2026-11-21 07:18:16,823 ERROR sync of /x/.git failed (attempt 1)\n"
        'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\n'
        "sqlite3.OperationalError: disk I/O error\n"
        "2026-11-21 07:18:17,000 ERROR sync of /x/.git was set aside after 3 attempts\n",
        0o644,
    )


def bad_default(doctor_repo: DoctorRepo, text: str) -> None:
    doctor_repo.repo.commit({".gitcopilot": text})
    index_repository(doctor_repo.found)


def config(*words: str):
    return lambda doctor_repo: doctor_repo.repo.git("config", *words)


TROUBLES = {
    # name: (what goes wrong, check, level, what the message says, what the mend says)
    "no interpreter recorded": (
        lambda w: (w.state / "python").unlink(), "interpreter", "fail", "no interpreter", "install"),
    "interpreter gone": (
        lambda w: (w.state / "python").write_text("/nowhere/python\n"),
        "interpreter", "fail", "/nowhere/python is missing", "git copilot install"),
    "no Python at all": (
        lambda w: w.interpreter("exit 1"), "interpreter", "fail", "not a working Python", "install"),
    "package removed": (
        lambda w: w.interpreter(f'exec "{sys.executable}" -S "$@"'),
        "interpreter", "fail", "does not have git-copilot", "git copilot install"),
    "light environment": (
        lambda w: w.interpreter(answer(["faiss", "numpy"])),
        "interpreter", "fail", "lacks faiss, numpy", "pip install 'git-copilot[local]'"),
    "other version": (
        lambda w: w.interpreter(answer([], "0.0.1")), "interpreter", "warn", "0.0.1", "install"),
    "interpreter hangs": (
        lambda w: w.interpreter("exec sleep 30"), "interpreter", "fail", "did not answer", "install"),
    "hook removed": (
        lambda w: (w.hooks / "post-merge").unlink(),
        "hooks", "warn", "post-merge: does not run git-copilot", "git copilot install"),
    "hook replaced": (
        lambda w: w.write_file(w.hooks / "post-merge", "#!/bin/sh\n"),
        "hooks", "warn", "only a hook of yours", "git copilot install"),
    "hook switched off": (
        lambda w: (w.hooks / "post-merge").chmod(0o644),
        "hooks", "warn", "is not executable", "chmod +x"),
    "hooks path elsewhere": (
        lambda w: (w.repo.git("config", "--global", "core.hooksPath", "~/h"),),
        "hooks", "warn", "post-commit: does not run git-copilot", MANAGER_LINE),
    "old shim": (
        lambda w: w.write_file(w.hooks / "post-merge",
                        (w.hooks / "post-merge").read_text().replace("trap", "echo")),
        "shims", "warn", "blocks of another version: post-merge", "git copilot install"),
    "old hook.sh": (
        lambda w: (w.state / "hook.sh").write_text("#\n"), "shims", "warn", "hook.sh", "install"),
    "wrapper replaced": (
        replaced_wrapper, "shims", "warn", "no longer runs", "git copilot install"),
    "configured, not installed": (
        lambda w: (shutil.rmtree(w.hooks),
                   w.write_file(w.repo.path / ".pre-commit-config.yaml", "- id: copilot-sync\n")),
        "pre-commit", "warn", "is not installed for post-commit", "pre-commit install -t post-co"),
    "spool gone": (
        lambda w: shutil.rmtree(w.state / "spool"), "spool", "fail", "is missing", "install"),
    "spool is a file": (
        lambda w: (shutil.rmtree(w.state / "spool"), (w.state / "spool").touch()),
        "spool", "fail", "is not a folder", "elsewhere"),
    "events is a folder": (
        lambda w: (w.state / "spool/events").mkdir(), "spool", "fail", "is not writable", "chown"),
    "nobody takes events in": (
        lambda w: (w.state / "spool/events").write_bytes(b"\n" * MAX_BYTES),
        "spool", "warn", "unprocessed events", "status --wait"),
    "left waiting": (left_waiting, "worker", "warn", "not running; 1 waiting, the oldest 5 min",
                     "git copilot status --wait"),
    "left waiting for nobody": (
        left_waiting_for_nobody, "worker", "fail", "cannot be started", "git copilot install"),
    "killed again and again": (
        lambda w: w.queue_job(deaths=3), "queue", "warn", "3 workers in a row", "worker.log"),
    "failed": (failed_job, "log", "warn", "OperationalError: disk I/O error", "worker.log"),
    "no database": (
        lambda w: (w.state / DATABASE_NAME).unlink(),
        "repository", "warn", "is not set up", "git copilot init"),
    "no database inside": (
        lambda w: (w.state / DATABASE_NAME).write_bytes(b"rubbish" * 1000),
        "database", "fail", "damaged", "git copilot index --rebuild"),
    "database rotten": (rot, "database", "fail", "damaged", "git copilot index --rebuild"),
    "database emptied": (
        lambda w: (w.state / DATABASE_NAME).write_bytes(b""),
        "database", "fail", "is empty", "git copilot index --rebuild"),
    "database of another version": (
        lambda w: w.run_sql("UPDATE meta SET value = '0' WHERE key = 'schema'"),
        "database", "fail", "another version", "git copilot index --rebuild"),
    "behind": (
        lambda w: w.repo.git("update-ref", "HEAD", w.repo.git(
            "commit-tree", "-m", "x", w.repo.git("mktree", stdin=""))),
        "index", "warn", "not of HEAD", "git copilot index"),
    "vectors missing": (
        lambda w: w.run_sql("DELETE FROM vectors"), "vectors", "warn", "by words only", "index"),
    "snapshot cut short": (truncated_snapshot, "snapshot", "warn", "cannot be read", "rm "),
    "model missing": (
        config("copilot.model", "smollm2-135m"),
        "model", "fail", "is not downloaded yet", "git copilot model pull smollm2-135m"),
    "model unknown": (
        config("copilot.model", "nonsense"), "model", "fail", "unknown model", "git copilot model list"),
    "embedder missing": (
        config("copilot.embedder", "minilm-static"), "embedder", "warn", "not downloaded", "model pull"),
    "misspelt": (
        config("--global", "copilot.maxTocens", "9"), "settings", "warn",
        "did you mean copilot.maxTokens?", "git config --global --unset copilot.maxtocens"),
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
        "settings", "warn", ".gitcopilot", "--unset copilot.snippets"),
    "defaults malformed": (
        lambda w: bad_default(w, "[copilot\n"), "settings", "warn", "is skipped", ".gitcopilot"),
    "adapter gone": (
        lambda w: w.write_file(w.state / "adapters/current", "20260101-000000-abcd\n"),
        "adapter", "warn", "20260101-000000-abcd", "git copilot adapter rollback"),
    "no private folder": (
        lambda _: address.runtime_dir().mkdir(mode=0o755), "server", "warn", "private", "mv "),
}  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_problem_is_reported_with_its_remedy(doctor_repo, trouble, monkeypatch):
    monkeypatch.setattr(hooks_doctor, "ASK_SECONDS", 1.0 if "hangs" in trouble else 20.0)
    break_it, check, level, says, mend = TROUBLES[trouble]
    break_it(doctor_repo)
    found = [
        f
        for f in doctor_repo.problems()
        if (f.check, f.level) == (check, level) and says in f.message
    ]
    assert found, doctor_repo.problems()
    assert mend in found[0].mend


def test_a_failure_that_was_retried_successfully_is_no_problem(doctor_repo):
    failed_job(doctor_repo)
    with (doctor_repo.state / "log/worker.log").open("a") as log:
        log.write("2026-11-21 07:19:00,000 INFO sync SyncReport()\n")
    assert doctor_repo.problems() == []
    (told,) = [finding.message for finding in doctor_repo.examine() if finding.check == "log"]
    assert told.endswith("jobs succeeded since: 1")
