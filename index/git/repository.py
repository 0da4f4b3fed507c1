"""A repository, read by running git.

All data comes from plumbing with ``-z``, never from the working tree. Nothing writes to the
repository's index or working tree; of refs, assistant/sharing writes those below ``refs/copilot``. No
command from a repository's configuration is run (environment.py). discovery.py finds the repository; version.py tells the version of git.
"""

from __future__ import annotations

import copy
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from git_copilot.index.core.errors import GitError
from git_copilot.index.core.types import ConfigEntry
from git_copilot.index.git.discovery import (
    REPOSITORY_OVERRIDES,
    RunningProcesses,
    find_repository,
    run_git,
    start_error,
)
from git_copilot.index.git.environment import git_command, git_environment
from git_copilot.index.git.objects import SUBMODULE, SYMLINK, BorrowingRepository, ObjectReader
from git_copilot.index.git.user_config import command_line_config, listing, parse_listing

__all__ = ["SUBMODULE", "SYMLINK", "GitRepository"]

STATE_FOLDER = "copilot"
_PROMISES = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$"


# These compare files of the working tree, which git passes through filters.
_COMPARE = frozenset({"status", "diff", "diff-files", "diff-index"})


def _reads_files(args: tuple[str, ...]) -> bool:
    name = next((word for word in args if not word.startswith("-")), "")
    if name == "ls-files":
        return not {"-m", "--modified"}.isdisjoint(args)
    return name in _COMPARE and not {"--cached", "--staged"}.intersection(args)


def environment_overrides() -> dict[str, str]:
    """The environment variables by which a user, or git in a hook, selects the repository."""
    return {name: os.environ[name] for name in REPOSITORY_OVERRIDES if name in os.environ}


def _as_text(name: str) -> str:
    """A file name as valid UTF-8; different names stay different."""
    return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")


class GitRepository(ObjectReader):
    """A repository, read by plumbing.

    ``root`` is the working tree of this worktree (``None`` in a bare repository), ``git_dir``
    its own folder and ``common_dir`` the one that all worktrees share.
    """

    def __init__(
        self,
        git_dir: Path,
        common_dir: Path,
        root: Path | None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """
        :param environment: additional variables for git.
        """
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.root = root
        self._environment = dict(environment or {})
        self._running: RunningProcesses | None = None
        # (size and mtime of the configuration, the repository to read through if it is partial)
        self._partial: tuple[tuple[int, int], BorrowingRepository | None] | None = None

    @classmethod
    def discover(cls, path: Path | None = None) -> GitRepository:
        """Find the repository that contains ``path`` (default: the current folder), as git does.

        ``GIT_DIR`` and ``GIT_WORK_TREE`` count only when ``path`` is not given.

        :raises NotARepository: there is none.
        :raises GitError: git refuses to work there.
        """
        said = {} if path is not None else environment_overrides()
        start = Path.cwd() if path is None else path.parent if path.is_file() else path
        found = find_repository(start, said)
        return cls(found.git_dir, found.common_dir, found.root)

    def killable(self) -> tuple[GitRepository, RunningProcesses]:
        """A copy of this repository whose git processes another thread can kill."""
        twin, running = copy.copy(self), RunningProcesses()
        twin._running = running
        return twin, running

    @property
    def state_dir(self) -> Path:
        """The folder with this project's state; shared by all worktrees."""
        return self.common_dir / STATE_FOLDER

    @property
    def view_name(self) -> str:
        """The name of this worktree's view: empty for the main worktree."""
        if self.git_dir == self.common_dir:
            return ""
        return _as_text(os.path.relpath(self.git_dir, self.common_dir))

    def linked_views(self) -> set[str]:
        """The :attr:`view_name` of every linked worktree."""
        heads = (self.common_dir / "worktrees").glob("*/HEAD")
        return {_as_text(os.path.relpath(head.parent, self.common_dir)) for head in heads}

    @property
    def name(self) -> str:
        """A short name of the repository for people."""
        base = self.common_dir.parent if self.common_dir.name == ".git" else self.common_dir
        return base.name.removesuffix(".git")

    def _command(self, args: tuple[str, ...]) -> list[str]:
        places = [f"--git-dir={self.git_dir}"]
        if self.root is not None:
            places.append(f"--work-tree={self.root}")
        settings = self._without_filters() if _reads_files(args) else ()
        return git_command(args, places, settings)

    def _without_filters(self) -> Iterator[str]:
        """Settings that disable the configured filter commands when git compares files. A file
        that normally passes through a filter (Git LFS, say) counts as changed if its times are."""
        for name in sorted({key.rpartition(".")[0] for key in self._filter_keys()}):
            if "=" in name:  # `-c key=value` cannot express it
                raise GitError(
                    f"the configuration has a filter {name.removeprefix('filter.')!r}",
                    "give it a name without `=`",
                )
            yield from (f"{name}.clean=", f"{name}.process=", f"{name}.required=false")

    def _filter_keys(self) -> set[str]:
        """The keys of the configured filters."""
        _, out, _ = self.try_run("config", "-z", "--name-only", "--get-regexp", r"^filter\.")
        return {os.fsdecode(key) for key in out.split(b"\0") if key}

    def _cwd(self) -> Path:
        return self.root or self.git_dir

    def try_run(
        self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, str]:
        """Run git and return (exit code, stdout, first line of stderr)."""
        environment = {**self._environment, **(env or {})}
        return run_git(self._command(args), self._cwd(), stdin, environment, self._running)

    def run(self, *args: str, stdin: bytes = b"") -> bytes:
        """Run git and return its output.

        :raises GitError: its exit code is not 0.
        """
        code, out, message = self.try_run(*args, stdin=stdin)
        if code != 0:
            raise GitError(f"git {args[0]} failed: {message.removeprefix('fatal: ')}")
        return out

    @contextmanager
    def stream(self, *args: str, stdin: bytes | None = None) -> Iterator[IO[bytes]]:
        """Run git and yield its stdout; the input is fed from a temporary file.

        :raises GitError: on exit, if the output was read to the end and git failed.
        """
        with tempfile.TemporaryFile() as feed, tempfile.TemporaryFile() as errors:
            feed.write(stdin or b"")
            feed.seek(0)
            try:
                process = subprocess.Popen(
                    self._command(args),
                    stdin=feed,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=self._cwd(),
                    env={**git_environment(), **self._environment},
                )
            except OSError as exc:
                raise start_error(self._cwd(), exc) from exc
            assert process.stdout is not None
            with process:
                try:
                    yield process.stdout
                except BaseException:
                    process.kill()
                    raise
                read_to_end = process.stdout.read(1) == b""
                if not read_to_end:
                    process.kill()
            if read_to_end and process.returncode != 0:
                errors.seek(0)
                text = errors.read().decode("utf-8", "replace").strip().splitlines()
                raise GitError(f"git {args[0]} failed: {text[0] if text else process.returncode}")

    def reader(self) -> ObjectReader:
        """This repository, or for a partial clone one without its remotes."""
        if self._environment:
            return self
        try:
            facts = (self.common_dir / "config").stat()
        except OSError:
            return self
        stamp = (facts.st_size, facts.st_mtime_ns)
        if self._partial is None or self._partial[0] != stamp:
            partial = self.try_run("config", "--get-regexp", _PROMISES)[0] == 0
            self._partial = (stamp, BorrowingRepository(self.object_format()) if partial else None)
        borrowed = self._partial[1]
        if borrowed is None:
            return self
        objects = {"GIT_OBJECT_DIRECTORY": str(self.common_dir / "objects")}
        return GitRepository(borrowed.path, borrowed.path, None, objects)

    @property
    def is_partial_clone(self) -> bool:
        """Whether objects may be missing that a remote has promised."""
        return self.reader() is not self

    def object_format(self) -> str:
        """``sha1`` or ``sha256``."""
        return self.run("rev-parse", "--show-object-format").decode().strip()

    def resolve(self, revision: str) -> str | None:
        """The object id of ``revision``, or ``None``."""
        code, out, _ = self.try_run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", revision
        )
        return out.decode().strip() if code == 0 else None

    def head_commit(self) -> str | None:
        """HEAD's commit, or ``None`` on an unborn branch."""
        return self.resolve("HEAD^{commit}")

    def head_tree(self) -> str | None:
        """HEAD's tree, or ``None`` on an unborn branch."""
        return self.resolve("HEAD^{tree}")

    def head_tree_or_empty(self) -> str:
        """HEAD's tree; on an unborn branch the empty tree."""
        return self.head_tree() or self.run("hash-object", "-t", "tree", "--stdin").decode().strip()

    def has_object(self, oid: str) -> bool:
        """Whether the object database contains ``oid``."""
        return self.try_run("cat-file", "-e", oid)[0] == 0

    def config_entries(self, prefix: str) -> list[ConfigEntry]:
        """Every value under ``prefix.`` with the scope and file that set it, in git's order: the
        last value of a key wins."""
        _, out, _ = self.try_run(*listing(prefix), env=command_line_config())
        return parse_listing(out, prefix)

    def config(self, prefix: str) -> dict[str, str]:
        """All settings under ``prefix.``, lower-case key to last value, as git resolves them,
        including ``git -c key=value copilot …``."""
        return {entry.key: entry.value for entry in self.config_entries(prefix)}

    def parse_config(self, text: bytes, prefix: str) -> dict[str, str] | None:
        """Like :meth:`config`, but for a text in git-config syntax, whose includes are not
        followed; ``None`` if it is malformed."""
        command = ("config", "-z", "--no-includes", "--file=-", "--get-regexp", f"^{prefix}\\.")
        code, out, _ = self.try_run(*command, stdin=text)
        # 1: no such key
        return self._parse_config(out, prefix) if code in (0, 1) else None

    def read_prefix(self, name: str, limit: int) -> bytes | None:
        """The first ``limit`` bytes of the blob ``name`` (an id, or ``COMMIT:PATH``); ``None`` if
        there is no such blob."""
        with suppress(GitError), self.stream("cat-file", "blob", name) as out:
            return out.read(limit)
        return None

    def set_config(self, key: str, value: str) -> None:
        """Set a value in the repository's own configuration."""
        self.run("config", "--local", key, value)

    @staticmethod
    def _parse_config(raw: bytes, prefix: str) -> dict[str, str]:
        values = {}
        for record in raw.split(b"\0"):
            if record:
                key, _, value = os.fsdecode(record).partition("\n")
                values[key.lower().removeprefix(f"{prefix}.")] = value
        return values
