"""A temporary repository with its own index, in which git matches paths without any files.

An index may contain names that no file system takes: a folder called `.gitignore`, a file and a
folder of the same name, names of any length. git reads `.gitattributes` from the index
(``check-attr --cached``), and also `.gitignore` if its entry is marked ``skip-worktree`` and the
file does not exist.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from git_copilot.index.git.objects import init_bare_repository
from git_copilot.index.git.repository import GitRepository

# No other settings: git's answers must not depend on the user.
_SETTINGS = "\tbare = false\n\tattributesFile = /dev/null\n\texcludesFile = /dev/null\n"
_ENVIRONMENT = {
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
# Of an index file (git's Documentation/technical/index-format): version 3 knows skip-worktree.
_VERSION = 3
_REGULAR = 0o100644
_EXTENDED, _SKIP_WORKTREE, _LONGEST_NAME = 0x4000, 0x4000, 0xFFF
_ENTRY = struct.Struct(">6I I 3I")


class ScratchIndex:
    """Such a repository. It borrows the objects of another one and adds some of its own."""

    def __init__(self, repo: GitRepository) -> None:
        self._git = repo

    def attributes(self, names: Sequence[str], paths: Iterable[str]) -> dict[str, dict[str, str]]:
        """The attributes of ``paths``, by path and name, as far as they are specified.

        :param names: the attributes to look up.
        :raises GitError: git failed, as it does for paths that leave the repository.
        """
        feed = b"".join(os.fsencode(path) + b"\0" for path in paths)
        raw = self._git.run("check-attr", "--cached", "-z", "--stdin", *names, stdin=feed)
        fields = raw.split(b"\0")
        found: dict[str, dict[str, str]] = {}
        for path, name, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
            if value != b"unspecified":
                found.setdefault(os.fsdecode(path), {})[name.decode()] = os.fsdecode(value)
        return found

    def ignored(self) -> frozenset[str]:
        """The paths of the index that `.gitignore` files exclude.

        :raises GitError: git failed.
        """
        raw = self._git.run("ls-files", "-z", "--cached", "--ignored", "--exclude-standard")
        return frozenset(os.fsdecode(path) for path in raw.split(b"\0") if path)


@contextmanager
def open_scratch_index(
    repo: GitRepository,
    index: Mapping[str, str | None],
    private: bytes,
    texts: Mapping[str, bytes] | None = None,
) -> Iterator[ScratchIndex]:
    """Create a scratch repository on ``repo``'s objects and delete it when the context ends.

    :param index: paths, each with the object id of its content, or ``None`` if that does not
        matter. git applies files such as `.gitignore` among them.
    :param texts: additional contents, by object id.
    :param private: content of ``info/attributes``.
    """
    kind = repo.object_format()
    with tempfile.TemporaryDirectory(prefix="git-copilot-") as folder:
        git_dir, root = Path(folder) / "git", Path(folder) / "tree"
        init_bare_repository(git_dir, kind, _SETTINGS)
        if private:
            (git_dir / "info").mkdir()
            (git_dir / "info" / "attributes").write_bytes(private)
        root.mkdir()
        (git_dir / "index").write_bytes(_index_file(index, kind))
        for oid, text in (texts or {}).items():
            _write_blob(git_dir / "objects", oid, text)
        objects = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(repo.common_dir / "objects")}
        environment = {**objects, **_ENVIRONMENT}
        yield ScratchIndex(GitRepository(git_dir, git_dir, root, environment))


def _write_blob(objects: Path, oid: str, text: bytes) -> None:
    """Store a blob as a loose object."""
    folder = objects / oid[:2]
    folder.mkdir(exist_ok=True)
    (folder / oid[2:]).write_bytes(zlib.compress(b"blob %d\0" % len(text) + text, 1))


def _index_file(index: Mapping[str, str | None], kind: str) -> bytes:
    """An index in git's format; entries with content are marked skip-worktree."""
    width = hashlib.new(kind).digest_size
    parts = [b"DIRC", struct.pack(">2I", _VERSION, len(index))]
    for name, oid in sorted((os.fsencode(path), oid) for path, oid in index.items()):
        flags = min(len(name), _LONGEST_NAME)
        extended = b""
        if oid is not None:
            flags |= _EXTENDED
            extended = struct.pack(">H", _SKIP_WORKTREE)
        entry = (
            _ENTRY.pack(0, 0, 0, 0, 0, 0, _REGULAR, 0, 0, 0)
            + (bytes.fromhex(oid) if oid is not None else bytes(width))
            + struct.pack(">H", flags)
            + extended
            + name
        )
        parts.append(entry + bytes(8 - len(entry) % 8))
    content = b"".join(parts)
    return content + hashlib.new(kind, content).digest()
