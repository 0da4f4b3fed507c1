"""Opens files below a folder without following links, and says where a name leads.

The files of a working tree are the clone's author's choice, links included: `docs/a.md` may lead to
a key in the home folder, and a folder may become a link between a look and a read. So files are
opened component by component, each relative to the one before, and nothing but regular files.
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

# Enough for a folder that may be entered and not listed; elsewhere than on Linux it is read.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# As many as Linux follows.
MAX_LINKS = 40


class NotARegularFile(OSError):
    """There is a folder, a link, a pipe, a socket or a device in the place of a file."""


@contextmanager
def folder_inside(root: Path, path: str) -> Iterator[int]:
    """A descriptor of the folder that holds ``path``, which is relative to ``root``.

    :raises OSError: a component is missing, or no folder, or a link (``ELOOP``, ``ENOTDIR``).
    """
    names = path.split("/")
    if path.startswith("/") or any(name in ("", ".", "..") for name in names):
        raise NotARegularFile(errno.EINVAL, "not a path below a folder", path)
    # The root itself may be reached through links: it is what the person, or git, has named.
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
    """Open the regular file ``path`` (relative to ``root``, parted by ``/``) for reading. No
    component of it may be a link.

    :raises NotARegularFile: it is a folder, a pipe, a socket or a device.
    :raises OSError: it is missing, may not be read, or a component is a link.
    """
    with folder_inside(root, path) as folder:
        return open_regular(path.rpartition("/")[2], path, folder)


def read_inside(root: Path, path: str, most: int) -> tuple[bytes, os.stat_result] | None:
    """A regular file's bytes, at most ``most`` of them, and what ``fstat`` said before they were
    read. ``None``: there is none, it may not be read, or a link is on the way.

    :param path: relative to ``root``, with slashes, as git gives it.
    """
    try:
        with open_inside(root, path) as file:
            facts = os.fstat(file.fileno())
            return file.read(most), facts
    except (OSError, ValueError):  # ValueError: a null byte
        return None


def open_regular(name: str | Path, shown: str, folder: int | None = None) -> IO[bytes]:
    """Open a regular file that is no link, in ``folder``, without ever waiting for a pipe.

    :param shown: its name for errors.
    """
    # Asked first: to open a device may do something.
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
    raise NotARegularFile(errno.EINVAL, "no regular file", shown)


@dataclass(frozen=True, slots=True)
class ResolvedPath:
    """Where a name leads: ``target`` without any link, and the links on the way, each with the
    folder (without links) that it lies in."""

    target: Path
    links: tuple[Path, ...]


def resolve_links(path: Path) -> ResolvedPath:
    """Follow a name, which need not exist, as the system would.

    :param path: absolute.
    :raises OSError: its links go round in circles.
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
        except OSError:  # no link, or nothing there
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
