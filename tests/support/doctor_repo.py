"""A repository for tests of `doctor`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from git_copilot.assistant.diagnostics import doctor
from git_copilot.hooks.events import Event
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME
from tests.support.gitrepo import GitRepo


class DoctorRepo:
    """A healthy repository, and ways to break it."""

    def __init__(self, repo: GitRepo) -> None:
        self.repo = repo
        self.found = GitRepository.discover(repo.path)
        self.state = self.found.state_dir
        self.hooks = self.found.common_dir / "hooks"
        self.spool = Spool(self.state)

    def write_file(self, path: Path, text: str, mode: int = 0o755) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def interpreter(self, line: str) -> None:
        """Record a shell script of one line as the interpreter."""
        script = self.write_file(self.repo.path.parent / "odd python", f"#!/bin/sh\n{line}\n")
        (self.state / "python").write_text(f"{script}\n")

    def run_sql(self, statement: str) -> None:
        connection = sqlite3.connect(self.state / DATABASE_NAME, isolation_level=None)
        connection.execute(statement)
        connection.close()

    def queue_job(self, **more: object) -> None:
        """Queue a job whose record has these fields."""
        self.spool.append(Event("post-commit", str(self.found.git_dir)))
        self.spool.collect()
        path = self.state / "spool/jobs.json"
        data = json.loads(path.read_text())
        data["jobs"][0].update(more)
        path.write_text(json.dumps(data))

    def examine(self, **how: bool) -> list[doctor.Finding]:
        findings = doctor.examine(**how)
        assert all(finding.check and finding.message for finding in findings)
        assert not any("\n" in f"{finding.message}{finding.mend}" for finding in findings)
        return findings

    def problems(self, **how: bool) -> list[doctor.Finding]:
        return [finding for finding in self.examine(**how) if finding.level != "ok"]
