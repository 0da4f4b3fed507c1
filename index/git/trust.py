"""Decides which repositories this user trusts, and whether their state folder is the user's own.

A clone brings no ``.git``, but an archive or a folder that looks like a repository does, with a
configuration and a ready-made ``copilot/`` of its author's choice. So ``init`` writes a random
token to both sides: into the state folder, and into the user's data folder together with the real
path of the repository. Only if both agree is the state folder opened, and may the repository's own
configuration set servers, models and the like. A repository stays trusted when it is moved. A copy
of one that still exists is not trusted, nor is state made by an older version or another user;
`git copilot init --adopt` accepts it. Standard library only: hooks import this.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from git_copilot.index.core.errors import CopilotError, NotInitialised
from git_copilot.index.core.files import write_atomically

TOKEN_FILE = "owner"
ASIDE = "copilot.aside"
_TOKEN = re.compile(r"[0-9a-f]{32}")
INIT_HINT = "run `git copilot init`"
ADOPT_HINT = (
    "if it is yours (a copy, or made by an older version), run `git copilot init --adopt`; "
    "otherwise `git copilot init` starts a new one"
)


def data_dir() -> Path:
    """The user's data folder, as platformdirs defines it (hooks cannot import that)."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        named = Path(os.environ.get("XDG_DATA_HOME", ""))
        base = named if named.is_absolute() else Path.home() / ".local" / "share"
    return base / "git-copilot"


def is_trusted(state_dir: Path) -> bool:
    """Whether this user created or adopted the state folder, here or where it was moved from.
    Takes two small reads."""
    token = _read_token(state_dir)
    places = _places(token) if token else []
    if not token or not places:
        return False
    here = _place(state_dir)
    if here in places:
        return True
    if any(_read_token(Path(place) / state_dir.name) == token for place in places):
        return False  # this is a copy
    with suppress(CopilotError):  # moved; if it cannot be recorded, the next call finds it again
        _record(token, [here])
    return True


def require_trusted(state_dir: Path) -> None:
    """:raises NotInitialised: there is no state folder, or it is not trusted."""
    if is_trusted(state_dir):
        return
    if not os.path.lexists(state_dir):
        raise NotInitialised("git-copilot is not set up in this repository", INIT_HINT)
    raise NotInitialised(f"{state_dir} is not trusted: it may not be yours", ADOPT_HINT)


def trust_repository(state_dir: Path, *, adopt: bool = False) -> Path | None:
    """Create and trust the state folder, unless it is trusted already.

    :param adopt: accept an existing folder that is not trusted, instead of moving it aside.
    :return: the new path of a folder that was moved aside.
    :raises CopilotError: a folder cannot be written, or an adopted one contains links.
    """
    with _locked():
        if is_trusted(state_dir):
            return None
        aside = None
        if os.path.lexists(state_dir):
            if adopt:
                _check_adopted(state_dir)
            else:
                aside = _move_aside(state_dir)
        _write_both(state_dir)
        return aside


def trust_if_new(state_dir: Path) -> bool:
    """Create and trust the state folder if there is none yet; whether it is trusted now. For hooks,
    which must not decide about a folder that somebody else made.

    :raises CopilotError: a folder cannot be written.
    """
    if is_trusted(state_dir):
        return True
    with _locked():
        if is_trusted(state_dir):
            return True
        if os.path.lexists(state_dir):
            return False
        _write_both(state_dir)
        return True


def revoke_trust(state_dir: Path) -> None:
    """Delete the record of a state folder, for ``uninstall --purge``."""
    token = _read_token(state_dir)
    if token:
        left = [place for place in _places(token) if place != _place(state_dir)]
        with suppress(OSError, CopilotError):
            if left:
                _record(token, left)
            else:
                _record_file(token).unlink(missing_ok=True)


def _place(state_dir: Path) -> str:
    # The state folder itself may be a link to another disk: its expected place counts.
    return os.path.realpath(os.path.dirname(os.path.abspath(state_dir)))  # noqa: PTH100, PTH120


def _record_file(token: str) -> Path:
    return data_dir() / "known" / hashlib.sha256(token.encode()).hexdigest()[:32]


def _places(token: str) -> list[str]:
    """The places where the state folder with this token is trusted."""
    return os.fsdecode(_read(_record_file(token), 1 << 16)).split("\0")[:-1]


def _record(token: str, places: list[str]) -> None:
    """:raises CopilotError: the data folder cannot be written."""
    _write(_record_file(token), b"".join(os.fsencode(place) + b"\0" for place in places))


def _read_token(state_dir: Path) -> str | None:
    text = _read(state_dir / TOKEN_FILE, 64).decode("ascii", "replace").strip()
    return text if _TOKEN.fullmatch(text) else None


def _read(path: Path, most: int) -> bytes:
    """The first bytes of a regular file; empty if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, most) if regular else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data, mode=0o600, durable=False)
    except OSError as exc:
        raise _cannot_write(exc, path) from exc


def _write_both(state_dir: Path) -> None:
    """Write the token to both sides. An adopted folder keeps its token: it may be trusted
    elsewhere as well (in a container)."""
    token = _read_token(state_dir) or secrets.token_hex(16)
    try:
        state_dir.mkdir(exist_ok=True)
    except OSError as exc:
        raise _cannot_write(exc, state_dir) from exc
    _write(state_dir / TOKEN_FILE, f"{token}\n".encode())
    _record(token, list(dict.fromkeys([*_places(token), _place(state_dir)])))


@contextmanager
def _locked() -> Iterator[None]:
    """Serialise changes: of two concurrent `init`, the second must find the first one's state. The
    folder itself is locked, and unlike ``files.file_lock`` a file system without locks is allowed."""
    folder = data_dir() / "known"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise _cannot_write(exc, folder) from exc
    try:
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _move_aside(state_dir: Path) -> Path:
    """Rename an existing folder; a link is renamed itself, its target stays."""
    names = (ASIDE, *(f"{ASIDE}-{number}" for number in range(2, 1000)))
    for name in names:
        target = state_dir.with_name(name)
        if not os.path.lexists(target):
            try:
                state_dir.rename(target)
            except OSError as exc:
                raise _cannot_write(exc, state_dir) from exc
            return target
    raise CopilotError(f"too many folders {ASIDE} in {state_dir.parent}", "remove some")


def _check_adopted(state_dir: Path) -> None:
    """:raises CopilotError: the folder contains links, through which other files could be
    written."""
    for folder, folders, files in os.walk(state_dir):
        for name in (*folders, *files):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise CopilotError(
                    f"cannot adopt {state_dir}: {path} is a link or not a regular file",
                    "remove it, or start a new folder with `git copilot init`",
                )


def _cannot_write(exc: OSError, place: Path) -> CopilotError:
    return CopilotError(
        f"{exc.filename or place} cannot be written ({exc.strerror})",
        "make it writable, or set XDG_DATA_HOME to another data folder",
    )
