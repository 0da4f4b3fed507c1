"""Puts a completion into its file: atomically, and never over somebody else's change."""

from __future__ import annotations

import os
import secrets

from git_copilot.assistant.completion.request import Place
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.safe_open import folder_inside, open_regular


def write_completion(place: Place, completion: str) -> None:
    """Insert a completion at the cursor.

    :raises CopilotError: the file changed since it was read, or cannot be written.
    """
    assert place.repo is not None and place.repo.root is not None
    name = place.path.rpartition("/")[2]
    try:
        # By descriptors from the top on: what became a link since it was read is not followed.
        with folder_inside(place.repo.root, place.path) as folder:
            if not os.access(name, os.W_OK, dir_fd=folder):  # replacing it asks its folder only
                raise CopilotError(f"{place.path} is read-only", "`chmod u+w` it first")
            with open_regular(name, place.path, folder) as file:
                mode = os.fstat(file.fileno()).st_mode & 0o7777
                data = file.read()
            if data != place.data:
                raise CopilotError(f"{place.path} changed meanwhile", "run the command again")
            text = completion.encode(place.document.encoding)
            offset = place.document.offset
            _replace(folder, name, place.data[:offset] + text + place.data[offset:], mode)
    except UnicodeEncodeError as exc:
        raise CopilotError(
            f"{place.path} is not UTF-8 and cannot hold {exc.object[exc.start]!r}",
            "convert the file to UTF-8",
        ) from exc
    except OSError as exc:
        raise CopilotError(f"{place.path} cannot be written ({exc.strerror})", "check it") from exc


def _replace(folder: int, name: str, data: bytes, mode: int) -> None:
    """Write a file beside and rename it into place, within the open folder."""
    beside = f".{name}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(beside, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(data)
            temporary.flush()
            os.fchmod(temporary.fileno(), mode)
            os.fsync(temporary.fileno())
        os.replace(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(beside, dir_fd=folder)
        raise
