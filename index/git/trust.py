"""Which repositories this user has made known, and whose state folder is their own.

A clone brings no ``.git``, but an archive or a folder that looks like a repository does, with a
configuration and a ready-made ``copilot/`` of its author's choice. So ``init`` writes a random
token on both sides: into the state folder, and into the user's data folder together with the real
path of the repository. Only where both agree the state folder is opened, and the repository's own
configuration may name servers, models and the like. A repository that was moved stays known; a
copy of one that is still there, and one whose state an older version or another user made, is not:
`git copilot init --adopt` takes its state in. Standard library only: hooks import this.
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
    "`git copilot init --adopt` takes it in if it is yours (a copy, or made by an older version), "
    "`git copilot init` starts a new one"
)


def data_dir() -> Path:
    """The user's data folder, as platformdirs has it (which a hook does not import)."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        named = Path(os.environ.get("XDG_DATA_HOME", ""))
        base = named if named.is_absolute() else Path.home() / ".local" / "share"
    return base / "git-copilot"


def is_known(state_dir: Path) -> bool:
    """Whether this user's git-copilot made the state folder, at this place or at one from which it
    was moved. Takes two small reads."""
    token = _read_token(state_dir)
    places = _places(token) if token else []
    if not token or not places:
        return False
    here = _place(state_dir)
    if here in places:
        return True
    if any(_read_token(Path(place) / state_dir.name) == token for place in places):
        return False  # this is a copy
    with suppress(CopilotError):  # moved; where nothing can be written it is found out again
        _record(token, [here])
    return True


def require_known(state_dir: Path) -> None:
    """:raises NotInitialised: there is no state folder, or it is not known to be this user's."""
    if is_known(state_dir):
        return
    if not os.path.lexists(state_dir):
        raise NotInitialised("git-copilot does not know this repository yet", INIT_HINT)
    raise NotInitialised(f"{state_dir} is not known to be yours, so it is not used", ADOPT_HINT)


def make_known(state_dir: Path, *, adopt: bool = False) -> Path | None:
    """Make the state folder, or see that it is known already.

    :param adopt: take in a folder that is there and not known, instead of moving it aside.
    :return: where a folder that was in the way lies now.
    :raises CopilotError: a folder cannot be written, or has links that an adopted one may not have.
    """
    with _locked():
        if is_known(state_dir):
            return None
        aside = None
        if os.path.lexists(state_dir):
            if adopt:
                _check_adopted(state_dir)
            else:
                aside = _move_aside(state_dir)
        _write_both(state_dir)
        return aside


def claim_new(state_dir: Path) -> bool:
    """Make the state folder known if there is none yet; whether it is known now. For hooks, which
    must not decide over a folder that somebody else made.

    :raises CopilotError: a folder cannot be written.
    """
    if is_known(state_dir):
        return True
    with _locked():
        if is_known(state_dir):
            return True
        if os.path.lexists(state_dir):
            return False
        _write_both(state_dir)
        return True


def forget_known(state_dir: Path) -> None:
    """Take the record back, for ``uninstall --purge``."""
    token = _read_token(state_dir)
    if token:
        left = [place for place in _places(token) if place != _place(state_dir)]
        with suppress(OSError, CopilotError):
            if left:
                _record(token, left)
            else:
                _record_file(token).unlink(missing_ok=True)


def _place(state_dir: Path) -> str:
    # The state folder itself may be a link to another disk: what counts is where it is expected.
    return os.path.realpath(os.path.dirname(os.path.abspath(state_dir)))  # noqa: PTH100, PTH120


def _record_file(token: str) -> Path:
    return data_dir() / "known" / hashlib.sha256(token.encode()).hexdigest()[:32]


def _places(token: str) -> list[str]:
    """Where the state folder with this token was made known."""
    return os.fsdecode(_read(_record_file(token), 1 << 16)).split("\0")[:-1]


def _record(token: str, places: list[str]) -> None:
    """:raises CopilotError: the data folder cannot be written."""
    _write(_record_file(token), b"".join(os.fsencode(place) + b"\0" for place in places))


def _read_token(state_dir: Path) -> str | None:
    text = _read(state_dir / TOKEN_FILE, 64).decode("ascii", "replace").strip()
    return text if _TOKEN.fullmatch(text) else None


def _read(path: Path, most: int) -> bytes:
    """The first bytes of a regular file; nothing where there is none."""
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
    """The token of an adopted folder stays: it may be known elsewhere as well (a container)."""
    token = _read_token(state_dir) or secrets.token_hex(16)
    try:
        state_dir.mkdir(exist_ok=True)
    except OSError as exc:
        raise _cannot_write(exc, state_dir) from exc
    _write(state_dir / TOKEN_FILE, f"{token}\n".encode())
    _record(token, list(dict.fromkeys([*_places(token), _place(state_dir)])))


@contextmanager
def _locked() -> Iterator[None]:
    """One at a time: of two `init` the second must find what the first has made. The folder is
    the lock itself, and a file system without locks will do, unlike for ``files.file_lock``."""
    folder = data_dir() / "known"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise _cannot_write(exc, folder) from exc
    try:
        with suppress(OSError):  # some file systems know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _move_aside(state_dir: Path) -> Path:
    """Rename what is in the way; a link goes itself, and what it leads to stays."""
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
    """:raises CopilotError: the folder has links, through which others would be written."""
    for folder, folders, files in os.walk(state_dir):
        for name in (*folders, *files):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise CopilotError(
                    f"{path} is a link or no regular file, so the folder is not taken in",
                    "remove it, or start a new one with `git copilot init`",
                )


def _cannot_write(exc: OSError, place: Path) -> CopilotError:
    return CopilotError(
        f"{exc.filename or place} cannot be written ({exc.strerror})",
        "make it writable for you (XDG_DATA_HOME names another data folder)",
    )
