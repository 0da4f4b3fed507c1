"""Which repositories this user has made known, and whose state folder is their own.

A clone brings no ``.git``, but an archive or a folder that looks like a repository does, with a
configuration and a ready-made ``copilot/`` of its author's choice. So ``init`` writes a random
token on both sides: into the state folder, and into the user's data folder under the real path of
the repository. Only where both agree the state folder is opened, and the repository's own
configuration may name servers, models and the like. A repository that was moved or copied, or
whose state an older version made, is not known: `git copilot init --adopt` takes its state in.
Standard library only: hooks import this.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from git_copilot.index.errors import CopilotError, NotInitialised

TOKEN_FILE = "owner"
ASIDE = "copilot.aside"
_TOKEN = re.compile(r"[0-9a-f]{32}")
INIT_HINT = "run `git copilot init`"
ADOPT_HINT = (
    "`git copilot init --adopt` takes it in if it is yours (the repository was moved or copied, or "
    "an older version made it), `git copilot init` starts a new one"
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
    """Whether this user's git-copilot made the state folder, at this place. Takes two small reads."""
    ours = _read(_record(state_dir))
    return ours is not None and hmac.compare_digest(ours, _read(state_dir / TOKEN_FILE) or "")


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
    with suppress(OSError):
        _record(state_dir).unlink(missing_ok=True)


def _record(state_dir: Path) -> Path:
    # The state folder itself may be a link to another disk: what counts is where it is expected.
    place = os.path.realpath(os.path.dirname(os.path.abspath(state_dir)))  # noqa: PTH100, PTH120
    name = hashlib.sha256(os.fsencode(place)).hexdigest()[:32]
    return data_dir() / "known" / name


def _read(path: Path) -> str | None:
    """The token in a file, if it holds one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        text = os.read(descriptor, 64).decode("ascii", "replace").strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return text if _TOKEN.fullmatch(text) else None


def _write_both(state_dir: Path) -> None:
    """The token of an adopted folder stays: it may be known elsewhere as well (a container)."""
    try:
        state_dir.mkdir(exist_ok=True)
        token = _read(state_dir / TOKEN_FILE) or secrets.token_hex(16)
        for path in (state_dir / TOKEN_FILE, _record(state_dir)):
            fresh = path.with_name(f".{path.name}.{os.getpid()}")
            fresh.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(fresh, flags, 0o600), "w") as file:
                file.write(f"{token}\n")
            fresh.replace(path)
    except OSError as exc:
        raise _cannot_write(exc, state_dir) from exc


@contextmanager
def _locked() -> Iterator[None]:
    """One at a time: of two `init` the second must find what the first has made."""
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
