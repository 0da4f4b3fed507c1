"""Opens files below a folder without following links, and resolves links.

The author of a clone chooses the files of its working tree, links included: `docs/a.md` may point
to a key in the home folder, and a folder may become a link between a check and a read. So paths are
opened component by component, each relative to the one before, and only regular files are read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# O_PATH also opens folders that may be entered but not listed; it exists on Linux only.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Linux's own limit.
MAX_LINKS = 40


class NotARegularFile(OSError):
    """The path is a folder, a link, a pipe, a socket or a device."""


@contextmanager
def folder_inside(root: Path, path: str) -> Iterator[int]:
    """Open the folder that contains ``path`` (relative to ``root``) and yield its descriptor.

    :raises OSError: a component is missing, is not a folder, or is a link (``ELOOP``, ``ENOTDIR``).
    """
    names = path.split("/")
    if path.startswith("/") or any(name in ("", ".", "..") for name in names):
        raise NotARegularFile(errno.EINVAL, "not a path below a folder", path)
    # The root itself may be reached through links: the user, or git, has chosen it.
    descriptor = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for name in names[:-1]:
            below = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def open_inside(root: Path, path: str) -> IO[bytes]:
    """Open the regular file ``path`` (relative to ``root``, separated by ``/``) for reading. No
    component of it may be a link.

    :raises NotARegularFile: it is a folder, a pipe, a socket or a device.
    :raises OSError: it is missing, not readable, or a component is a link.
    """
    with folder_inside(root, path) as folder:
        return open_regular(path.rpartition("/")[2], path, folder)


def read_inside(root: Path, path: str, most: int) -> tuple[bytes, os.stat_result] | None:
    """Read at most ``most`` bytes of a regular file; return them with the ``fstat`` result from
    before the read. ``None``: it does not exist, is not readable, or is reached through a link.

    :param path: relative to ``root``, with slashes, as git gives it.
    """
    try:
        with open_inside(root, path) as file:
            facts = os.fstat(file.fileno())
            return file.read(most), facts
    except (OSError, ValueError):  # ValueError: a null byte
        return None


def open_regular(name: str | Path, shown: str, folder: int | None = None) -> IO[bytes]:
    """Open a regular file in ``folder`` that is not a link, without ever blocking on a pipe.

    :param shown: its name in errors.
    """
    # Checked before opening: opening a device can have side effects.
    _check(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode, shown)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        _check(os.fstat(descriptor).st_mode, shown)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check(mode: int, shown: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), shown)
    if stat.S_ISLNK(mode):
        raise NotARegularFile(errno.ELOOP, "a symbolic link", shown)
    raise NotARegularFile(errno.EINVAL, "not a regular file", shown)


@dataclass(frozen=True, slots=True)
class ResolvedPath:
    """The ``target`` of a path, free of links, and the links on the way to it, each given by its
    link-free folder and its name."""

    target: Path
    links: tuple[Path, ...]


def resolve_links(path: Path) -> ResolvedPath:
    """Resolve the links in a path, which need not exist, as the system would.

    :param path: absolute.
    :raises OSError: its links form a cycle.
    """
    links: list[Path] = []
    at = Path(path.anchor)
    rest = list(reversed(path.parts[1:]))
    while rest:
        name = rest.pop()
        if name == "..":
            at = at.parent
            continue
        place = at / name
        try:
            target = place.readlink()
        except OSError:  # not a link, or missing
            at = place
            continue
        links.append(place)
        if len(links) > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if target.is_absolute():
            at = Path(target.anchor)
            rest.extend(reversed(target.parts[1:]))
        else:
            rest.extend(reversed(target.parts))
    return ResolvedPath(at, tuple(links))
