"""A repository as somebody else made it, beside what it must not reach."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tests.support.gitrepo import GitRepo

SECRET = "def outside_of_the_clone(secret_word):\n    return secret_word\n"


@dataclass(frozen=True, slots=True)
class Place:
    """``repo`` is the hostile repository. ``canary`` is a command that leaves a trace when it is
    run; ``outside`` a folder that nothing may read from or write to; ``port`` one on which
    somebody listens and nobody may call."""

    repo: GitRepo
    folder: Path
    port: int

    @classmethod
    def make(cls, repo: GitRepo, folder: Path, port: int) -> Place:
        place = cls(repo, folder, port)
        script = folder / "canary"
        # It passes its input on, as a filter would: what it does must not depend on that.
        script.write_text(f'#!/bin/sh\necho "$0 $*" >>"{place.traces}"\nexec cat\n')
        script.chmod(0o755)
        place.outside.mkdir()
        (place.outside / "secret.py").write_text(SECRET)
        return place

    @property
    def canary(self) -> str:
        return str(self.folder / "canary")

    @property
    def traces(self) -> Path:
        return self.folder / "traces"

    @property
    def outside(self) -> Path:
        return self.folder / "outside"

    @property
    def path(self) -> Path:
        return self.repo.path

    def config(self, *pairs: str) -> None:
        """Write ``key = value`` pairs into the repository's own configuration."""
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            self.repo.git("config", "--local", "--add", key, value)

    def script(self, name: str) -> Path:
        """A program in the repository that is the canary."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((self.folder / "canary").read_text())
        target.chmod(0o755)
        return target

    def ran(self) -> str:
        """What the canary recorded."""
        return self.traces.read_text() if self.traces.exists() else ""

    def fingerprint(self) -> dict[str, str]:
        """Files outside and in the worktree, by path, without the state folder and hooks."""
        found = {}
        for top in (self.outside, self.path):
            for path in sorted(top.rglob("*")):
                inner = path.relative_to(top).parts
                if inner[:1] == (".git",) or not path.is_file() or path.is_symlink():
                    continue
                found[str(path)] = hashlib.sha1(path.read_bytes()).hexdigest()
        return found
