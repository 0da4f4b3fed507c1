"""Reads trees and blobs from the object database without using the network.

In a partial clone git fetches a missing object when it meets one, and where that is forbidden it
dies (2.39). So objects are read through a repository without remotes that borrows the clone's
object folder: git then simply reports them as missing.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from git_copilot.index.core.errors import GitError
from git_copilot.index.core.types import TreeChange, TreeEntry

SUBMODULE = "160000"
SYMLINK = "120000"
# An entry of :meth:`ObjectReader.ls_tree` only if the folder's tree is missing.
FOLDER = "040000"


def blob_id(data: bytes, object_format: str = "sha1") -> str:
    """The object id that ``git hash-object`` gives a blob without filters."""
    return hashlib.new(object_format, b"blob %d\0" % len(data) + data).hexdigest()


def init_bare_repository(folder: Path, object_format: str, settings: str = "") -> None:
    """Create an empty repository in ``folder``, as ``git init --bare`` does without templates.

    :param settings: additional lines of the section `core`.
    """
    sha256 = object_format == "sha256"
    extensions = f"[extensions]\n\tobjectFormat = {object_format}\n" if sha256 else ""
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/none\n", "utf-8")
    version = f"[core]\n\trepositoryFormatVersion = {int(sha256)}\n"
    (folder / "config").write_text(version + settings + extensions, "utf-8")


class BorrowingRepository:
    """A repository without remotes, in a temporary folder that is deleted with this object."""

    def __init__(self, object_format: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="git-copilot-")
        self.path = Path(self._folder.name)
        init_bare_repository(self.path, object_format)


class ObjectReader(ABC):
    """Reads git objects by plumbing with ``-z``."""

    @abstractmethod
    def run(self, *args: str, stdin: bytes = b"") -> bytes:
        """Run git and return what it printed."""

    @abstractmethod
    def stream(self, *args: str, stdin: bytes | None = None) -> AbstractContextManager[IO[bytes]]:
        """Run git and yield its stdout."""

    @abstractmethod
    def resolve(self, revision: str) -> str | None:
        """The object id of ``revision``, or ``None``."""

    @abstractmethod
    def reader(self) -> ObjectReader:
        """The reader to use for objects: itself, or in a partial clone one that never fetches."""

    def _tree(self, tree: str) -> tuple[ObjectReader, str]:
        """The reader, and the tree under a name that it can resolve."""
        reader = self.reader()
        return reader, tree if reader is self else self.resolve(f"{tree}^{{tree}}") or tree

    def ls_tree(self, tree: str) -> list[TreeEntry]:
        """Every file of ``tree``, recursively. A folder whose tree is missing (a partial clone
        without trees) is one entry with the mode :data:`FOLDER`.

        :raises GitError: there is no such tree.
        """
        reader, oid = self._tree(tree)
        try:
            return _entries(reader.run("ls-tree", "-r", "-z", "--full-tree", oid))
        except GitError:
            if reader is self:
                raise
            return reader._walk(oid)

    def _walk(self, tree: str) -> list[TreeEntry]:
        """:meth:`ls_tree`, level by level, which tolerates missing trees."""
        found: list[TreeEntry] = []
        level = [("", tree)]
        while level:
            contents = dict(self.blobs(dict.fromkeys(oid for _, oid in level)))
            below = []
            for prefix, oid in level:
                if oid not in contents:
                    if not prefix:
                        raise GitError(f"the tree {tree} is not in the repository")
                    found.append(TreeEntry(FOLDER, oid, prefix.rstrip("/")))
                    continue
                for mode, name, child in parse_tree(contents[oid], len(oid) // 2):
                    path = f"{prefix}{os.fsdecode(name)}"
                    if mode == FOLDER:
                        below.append((f"{path}/", child))
                    else:
                        found.append(TreeEntry(mode, child, path))
            level = below
        return sorted(found, key=lambda e: os.fsencode(e.path))

    def entry(self, tree: str, path: str) -> TreeEntry | None:
        """The entry of ``path`` in ``tree`` (a folder has mode 040000), or ``None``."""
        found = self.entries(tree, [path])
        return found[0] if found else None

    def entries(self, tree: str, paths: Iterable[str]) -> list[TreeEntry]:
        """The entries of those ``paths`` that exist in ``tree``."""
        wanted = list(paths)
        reader, oid = self._tree(tree)
        literal = ("--literal-pathspecs", "ls-tree", "-z", "--full-tree", oid, "--")
        return _entries(reader.run(*literal, *wanted)) if wanted else []

    def diff_trees(self, old: str, new: str) -> list[TreeChange]:
        """The paths that differ between two trees (a rename is a removal and an addition).

        :raises GitError: a tree is missing.
        """
        (reader, before), (_, after) = self._tree(old), self._tree(new)
        options = ("-r", "-z", "--raw", "--no-renames", "--full-index")
        fields = reader.run("diff-tree", *options, before, after).split(b"\0")
        changes = []
        for meta, raw_path in zip(fields[0::2], fields[1::2], strict=False):
            old_mode, new_mode, old_oid, new_oid, status = meta.decode().lstrip(":").split(" ")
            path = os.fsdecode(raw_path)
            changes.append(
                TreeChange(
                    path,
                    None if status == "A" else TreeEntry(old_mode, old_oid, path),
                    None if status == "D" else TreeEntry(new_mode, new_oid, path),
                )
            )
        return changes

    def blob_sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """Size in bytes of every object; missing objects are omitted."""
        feed = "".join(f"{oid}\n" for oid in oids).encode()
        sizes = {}
        if feed:
            ask = ("cat-file", "--batch-check=%(objectname) %(objectsize)")
            for line in self.reader().run(*ask, stdin=feed).decode().splitlines():
                oid, size = line.split(" ", 1)
                if size.isdigit():
                    sizes[oid] = int(size)
        return sizes

    def blobs(self, oids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Stream the contents of objects, in order; missing objects are omitted."""
        feed = "".join(f"{oid}\n" for oid in oids).encode()
        if not feed:
            return
        with self.reader().stream("cat-file", "--batch", stdin=feed) as out:
            while header := out.readline():
                parts = header.decode().split()
                if len(parts) != 3:  # "<oid> missing"
                    continue
                size = int(parts[2])
                data = out.read(size)
                out.read(1)
                yield parts[0], data

    def read_blob(self, oid: str) -> bytes:
        """One object's content.

        :raises GitError: it is not in the object database.
        """
        for _, data in self.blobs([oid]):
            return data
        raise GitError(f"object {oid} is not in the repository")


def _entries(raw: bytes) -> list[TreeEntry]:
    """Parse the output of ``ls-tree -z``."""
    entries = []
    for record in raw.split(b"\0"):
        if record:
            meta, path = record.split(b"\t", 1)
            mode, _, oid = meta.decode().split(" ")
            entries.append(TreeEntry(mode, oid, os.fsdecode(path)))
    return entries


def parse_tree(data: bytes, width: int) -> Iterator[tuple[str, bytes, str]]:
    """Yield (mode, name, object id) of each entry of a tree object; ids have ``width`` bytes."""
    at = 0
    while at < len(data):
        space, end = data.index(b" ", at), data.index(b"\0", at)
        oid = data[end + 1 : end + 1 + width].hex()
        yield data[at:space].decode().zfill(6), data[space + 1 : end], oid
        at = end + 1 + width
