"""Puts a completion into its file: atomically, and never over somebody else's change."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from git_copilot.assistant.complete import Answer
from git_copilot.index.errors import CopilotError


def write_completion(answer: Answer) -> None:
    """Insert the completion at the cursor.

    :raises CopilotError: the file changed since it was read, or cannot be written.
    """
    place = answer.place
    file = place.file.resolve()  # through a link: the link stays
    try:
        if not os.access(file, os.W_OK):  # replacing it would ask its folder only
            raise CopilotError(f"{place.path} is read-only", "`chmod u+w` it first")
        if file.read_bytes() != place.data:
            raise CopilotError(f"{place.path} changed meanwhile", "run the command again")
        text = answer.completion.encode(place.document.encoding)
        offset = place.document.offset
        _replace(file, place.data[:offset] + text + place.data[offset:])
    except UnicodeEncodeError as exc:
        raise CopilotError(
            f"{place.path} is not UTF-8 and cannot hold {exc.object[exc.start]!r}",
            "convert the file to UTF-8",
        ) from exc
    except OSError as exc:
        raise CopilotError(f"{place.path} cannot be written ({exc.strerror})", "check it") from exc


def _replace(file: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(data)
            temporary.flush()
            os.fsync(temporary.fileno())
        Path(name).chmod(file.stat().st_mode & 0o7777)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
