"""Where the server is found: its socket, its lock, and the private folder of both.

Standard library only: the thin client imports it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
import zlib
from pathlib import Path

# 2: the lock names its holder, and "alive" is understood; 3: so are "screens"
PROTOCOL = 3
# Bytes of the socket's folder: its path has 104 on some systems, 108 on Linux.
MAX_FOLDER = 80
UNSAFE = (
    "is not a private folder of yours (`chmod 700` makes it one, XDG_RUNTIME_DIR names another)"
)


def runtime_dir() -> Path:
    """A folder that only this user can enter, for the socket: the first whose name is not too long
    for one."""
    base, own = os.environ.get("XDG_RUNTIME_DIR"), f"git-copilot-{os.getuid()}"
    folder = Path(base or "") / "git-copilot"
    # A relative one is to be ignored, by the specification of these folders.
    if folder.is_absolute() and _fits(folder) and folder.parent.is_dir():
        return folder
    import tempfile  # takes milliseconds that a desktop need not wait

    folder = Path(tempfile.gettempdir()) / own
    return folder if _fits(folder) else Path("/tmp") / own


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder)) <= MAX_FOLDER


def socket_path() -> Path:
    """The socket of the server that fits this installation, protocol, home and cache."""
    parts = (
        str(PROTOCOL),
        sys.prefix,
        str(Path(__file__).resolve().parent),
        os.environ.get("HOME", ""),
        os.environ.get("GIT_COPILOT_CACHE", ""),
        os.environ.get("XDG_CACHE_HOME", ""),
        os.environ.get("GIT_CONFIG_GLOBAL", ""),
        # Which repositories are known, and how far up one is looked for.
        os.environ.get("XDG_DATA_HOME", ""),
        os.environ.get("GIT_CEILING_DIRECTORIES", ""),
    )
    # A checksum: hashlib takes as long to import as all of this.
    key = zlib.crc32("\0".join(parts).encode("utf-8", "surrogateescape"))
    return runtime_dir() / f"{key:08x}.sock"


def lock_path() -> Path:
    """What the server holds a lock on as long as it lives, and writes its pid into."""
    return socket_path().with_suffix(".lock")


def lock_holder() -> int | None:
    """The pid of the process that is the server, whether or not it answers.

    :return: 0 when it has not said who it is, ``None`` when there is none.
    """
    try:
        with lock_path().open("rb") as lock:
            try:
                # A look, shared with others that look, which files.file_lock knows nothing of.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                written = lock.read(20).strip()
                return int(written) if written.isdigit() else 0
    except OSError:
        pass
    return None


def secure_runtime_dir() -> Path:
    """Make the folder, or check that nobody else owns or may enter it.

    :raises PermissionError: it is somebody else's.
    """
    folder = runtime_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise PermissionError(errno.EPERM, UNSAFE, str(folder))
    return folder
