"""The only module that runs git.

GitPython finds the repository; everything is read by plumbing with ``-z``, never from the
working tree. Nothing here writes to the repository's index, working tree or refs.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import git as gitpython

from git_copilot.index.environment import git_environment
from git_copilot.index.errors import GitError, NotARepository
from git_copilot.index.objects import SUBMODULE, SYMLINK, Borrowed, ObjectReader

__all__ = ["SUBMODULE", "SYMLINK", "GitRepository"]

STATE_FOLDER = "copilot"
COMMAND_LINE_CONFIG = ("GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT")
_PROMISES = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$"


def _as_text(name: str) -> str:
    """A file's name for where only UTF-8 goes; different names stay different."""
    return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")


def _capture(
    command: list[str], cwd: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> tuple[int, bytes, str]:
    """Run git in ``cwd`` and return (exit code, stdout, first line of stderr)."""
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env={**git_environment(), **(env or {})},
            check=False,
        )
    except FileNotFoundError as exc:
        raise _cannot_start(cwd, exc) from exc
    message = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return done.returncode, done.stdout, message[0] if message else ""


def _cannot_start(cwd: Path, exc: FileNotFoundError) -> GitError:
    if not cwd.exists():
        return GitError(f"{cwd} is gone", "was the repository moved or deleted?")
    return GitError("git is not installed or not on PATH", str(exc))


class GitRepository(ObjectReader):
    """A repository found by GitPython and read by plumbing.

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
        :param environment: more variables for git.
        """
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.root = root
        self._environment = dict(environment or {})
        # (size and time of the configuration, the repository to read through if it is partial)
        self._partial: tuple[tuple[int, int], Borrowed | None] | None = None

    @classmethod
    def discover(cls, path: Path | None = None) -> GitRepository:
        """Find the repository that ``path`` (default: the current folder) lies in.

        ``GIT_DIR`` and ``GIT_WORK_TREE`` count only when ``path`` is not given.

        :raises NotARepository: there is none.
        """
        start = path if path is not None else Path.cwd()
        from_environment = path is None and "GIT_DIR" in os.environ
        try:
            repo = gitpython.Repo(
                None if from_environment else start, search_parent_directories=True
            )
        except (gitpython.InvalidGitRepositoryError, gitpython.NoSuchPathError) as exc:
            raise NotARepository(
                f"{start} is not in a Git repository", "run the command inside one, or `git init`"
            ) from exc
        with repo:
            root = repo.working_tree_dir
            found = cls(
                Path(repo.git_dir).resolve(),
                Path(repo.common_dir).resolve(),
                Path(root).resolve() if root is not None and not repo.bare else None,
            )
        # Git's own veto: format version, and, where it finds the repository itself, its owner.
        ask = ["rev-parse", "--git-dir"]
        command = found._command(ask) if from_environment else ["git", *ask]
        code, _, message = _capture(command, start if start.is_dir() else start.parent)
        if code:
            raise GitError(f"git rev-parse failed: {message.removeprefix('fatal: ')}")
        return found

    @property
    def state_dir(self) -> Path:
        """Where this project keeps what it knows; shared by all worktrees."""
        return self.common_dir / STATE_FOLDER

    @property
    def view_name(self) -> str:
        """Names this worktree within the repository: empty for the main one."""
        if self.git_dir == self.common_dir:
            return ""
        return _as_text(os.path.relpath(self.git_dir, self.common_dir))

    def linked_views(self) -> set[str]:
        """The :attr:`view_name` of every linked worktree that git knows of."""
        heads = (self.common_dir / "worktrees").glob("*/HEAD")
        return {_as_text(os.path.relpath(head.parent, self.common_dir)) for head in heads}

    @property
    def name(self) -> str:
        """The repository's name as a person would say it."""
        base = self.common_dir.parent if self.common_dir.name == ".git" else self.common_dir
        return base.name.removesuffix(".git")

    def _command(self, args: Iterable[str]) -> list[str]:
        return ["git", f"--git-dir={self.git_dir}", "-c", "core.quotePath=true", *args]

    def _cwd(self) -> Path:
        return self.root or self.git_dir

    def try_run(
        self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, str]:
        """Run git and return (exit code, stdout, first line of stderr)."""
        return _capture(
            self._command(args), self._cwd(), stdin, {**self._environment, **(env or {})}
        )

    def run(self, *args: str, stdin: bytes = b"") -> bytes:
        """Run git and return what it printed.

        :raises GitError: it exited with another code than 0.
        """
        code, out, message = self.try_run(*args, stdin=stdin)
        if code != 0:
            raise GitError(f"git {args[0]} failed: {message.removeprefix('fatal: ')}")
        return out

    @contextmanager
    def stream(self, *args: str, stdin: bytes | None = None) -> Iterator[IO[bytes]]:
        """Run git and yield its stdout; input of any size is fed from a temporary file.

        :raises GitError: on leaving, when git failed although its output was read to the end.
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
            except FileNotFoundError as exc:
                raise _cannot_start(self._cwd(), exc) from exc
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
        """This repository, or, if it is a partial clone, one without its remotes."""
        if self._environment:
            return self
        try:
            facts = (self.common_dir / "config").stat()
        except OSError:
            return self
        stamp = (facts.st_size, facts.st_mtime_ns)
        if self._partial is None or self._partial[0] != stamp:
            partial = self.try_run("config", "--get-regexp", _PROMISES)[0] == 0
            self._partial = (stamp, Borrowed(self.object_format()) if partial else None)
        borrowed = self._partial[1]
        if borrowed is None:
            return self
        objects = {"GIT_OBJECT_DIRECTORY": str(self.common_dir / "objects")}
        return GitRepository(borrowed.path, borrowed.path, None, objects)

    @property
    def partial(self) -> bool:
        """Whether this is a partial clone: objects may be missing that its remote promised."""
        return self.reader() is not self

    def object_format(self) -> str:
        """``sha1`` or ``sha256``."""
        return self.run("rev-parse", "--show-object-format").decode().strip()

    def resolve(self, revision: str) -> str | None:
        """The object id that ``revision`` names, or ``None``."""
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

    def shown_tree(self) -> str:
        """HEAD's tree; on an unborn branch the empty one."""
        return self.head_tree() or self.run("hash-object", "-t", "tree", "--stdin").decode().strip()

    def has_object(self, oid: str) -> bool:
        """Whether the object database still has ``oid``."""
        return self.try_run("cat-file", "-e", oid)[0] == 0

    def config(self, prefix: str) -> dict[str, str]:
        """All settings under ``prefix.``, lower-case key to last value, as git resolves them:
        ``git -c key=value copilot …`` counts."""
        given = {k: v for k, v in os.environ.items() if k in COMMAND_LINE_CONFIG}
        _, out, _ = self.try_run("config", "-z", "--get-regexp", f"^{prefix}\\.", env=given)
        return self._parse_config(out, prefix)

    def config_of_blob(self, blob: str, prefix: str) -> dict[str, str]:
        """Like :meth:`config`, but read from a blob in git-config syntax; empty when malformed."""
        code, out, _ = self.try_run(
            "config", "-z", f"--blob={blob}", "--get-regexp", f"^{prefix}\\."
        )
        return self._parse_config(out, prefix) if code == 0 else {}

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
