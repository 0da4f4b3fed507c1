"""Opens files below a folder without ever leaving it: no symbolic link is followed on the way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe would wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_beneath(root: Path, path: str, most: int) -> tuple[bytes, os.stat_result] | None:
    """A regular file's bytes, at most ``most`` of them, and what ``fstat`` said before they were
    read. ``None``: there is none, it may not be read, or a link is on the way.

    :param path: relative to ``root``, with slashes, as git gives it.
    """
    *folders, name = path.split("/")
    if not name or any(part in ("", ".", "..") for part in (*folders, name)):
        return None
    held = -1
    try:
        held = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for folder in folders:
            below = os.open(folder, _FOLDER, dir_fd=held)
            os.close(held)
            held = below
        with os.fdopen(os.open(name, _FILE, dir_fd=held), "rb") as file:
            facts = os.fstat(file.fileno())
            return (file.read(most), facts) if stat.S_ISREG(facts.st_mode) else None
    except (OSError, ValueError):  # ValueError: a null byte
        return None
    finally:
        if held >= 0:
            os.close(held)
