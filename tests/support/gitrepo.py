"""Builds real repositories. Commits are one minute apart, starting at a fixed time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

EPOCH = 1_700_000_000


class GitRepo:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._clock = EPOCH

    @classmethod
    def init(cls, path: Path, *args: str) -> GitRepo:
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "-q", *args, str(path)], check=True)
        return cls(path)

    def git(self, *args: str, check: bool = True, stdin: str = "", **env: str) -> str:
        """Run git in the working tree and return its stdout, stripped."""
        date = f"{self._clock} +0000"
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            env={**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, **env},
        )
        if check and done.returncode:
            raise AssertionError(f"git {args} exited {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def write(self, files: dict[str, str | bytes]) -> None:
        for name, content in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                target.write_bytes(content)
            else:
                target.write_bytes(content.encode())

    def commit(self, files: dict[str, str | bytes], message: str = "change", **env: str) -> str:
        """Write ``files``, commit everything and return the commit's id."""
        self.write(files)
        self._clock += 60
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, **env)
        return self.git("rev-parse", "HEAD")

    @property
    def git_dir(self) -> Path:
        return Path(self.git("rev-parse", "--absolute-git-dir"))
