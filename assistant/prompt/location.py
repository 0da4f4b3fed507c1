"""``FILE:LINE[:COL]`` and the text at it. Parsing is pure; reading is one function."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from git_copilot.index.core.errors import LocationError
from git_copilot.index.core.safe_open import NotRegular, open_inside
from git_copilot.index.text.classify import SNIFF_BYTES
from git_copilot.index.text.encodings import encoding_of, exact_bytes, exact_text, readable_text

_LOCATION = re.compile(
    r"^(?P<file>.+?):(?P<line>[0-9]{1,9})(?::(?P<column>[0-9]{1,9}))?$", re.DOTALL
)
# Only text near the cursor can enter a prompt; the rest of a large file is not decoded.
WINDOW_BYTES = 256 * 1024
MAX_FILE_BYTES = 256 * 2**20
HINT = "write FILE:LINE or FILE:LINE:COL, both counted from 1"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file. ``column`` counts characters from 1; ``None`` is the end of the line."""

    file: str
    line: int
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Text cut at the cursor. Line ends are ``\\n``; ``newline`` is the one of the file.

    ``line`` and ``column`` are 1-based and resolved. ``offset`` is the byte position of the
    cursor in the file, ``encoding`` the one with which its bytes were decoded.
    """

    prefix: str
    suffix: str
    line: int
    column: int
    newline: str
    encoding: str
    offset: int


def parse_location(text: str) -> Location:
    """Read ``FILE:LINE[:COL]``; the file's name may contain colons.

    :raises LocationError: it has another format.
    """
    match = _LOCATION.match(text)
    if match is None:
        raise LocationError(f"{text!r} has no line number", HINT)
    line, column = int(match["line"]), match["column"]
    if line < 1 or (column is not None and int(column) < 1):
        raise LocationError(f"{text!r}: lines and columns start at 1", HINT)
    return Location(match["file"], line, int(column) if column else None)


def read_file(root: Path, path: str, name: str) -> bytes:
    """The bytes of a text file of a working tree. Links are not followed.

    :param path: below ``root``, separated by ``/``, without links.
    :param name: the file's name as the user gave it, for messages.
    :raises LocationError: it is missing, a folder, binary, too large, or unreadable.
    """
    try:
        # Regular files only: a pipe would block, and a device never ends.
        with open_inside(root, path) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as exc:
        raise LocationError(f"{name} does not exist", "check the name, or use --stdin") from exc
    except IsADirectoryError as exc:
        raise LocationError(f"{name} is a folder", "name a file in it") from exc
    except NotRegular as exc:
        raise LocationError(f"{name} is {exc.strerror}", "only text can be completed") from exc
    except OSError as exc:
        raise LocationError(
            f"{name} cannot be read ({exc.strerror})", "check its permissions"
        ) from exc
    if len(data) > MAX_FILE_BYTES:
        raise LocationError(
            f"{name} is larger than {MAX_FILE_BYTES >> 20} MB", "only text can be completed"
        )
    check_text(data, name)
    return data


def check_text(data: bytes, name: str) -> None:
    """:raises LocationError: the bytes are not text."""
    if b"\0" in data[:SNIFF_BYTES]:
        raise LocationError(f"{name} is a binary file", "only text can be completed")


def cut_document(data: bytes, location: Location) -> Document:
    """Cut the bytes of a file at ``location``.

    :raises LocationError: the line or the column is past the end.
    """
    start, end = _line_span(data, location)
    encoding = encoding_of(data)
    raw_line = data[start:end]
    if start == 0 and raw_line.startswith(b"\xef\xbb\xbf"):
        start, raw_line = 3, raw_line[3:]
    line_text = exact_text(raw_line, encoding)
    column = len(line_text) + 1 if location.column is None else location.column
    if column > len(line_text) + 1:
        raise LocationError(
            f"{location.file}:{location.line} has {len(line_text)} characters, "
            f"there is no column {column}",
            f"the last column is {len(line_text) + 1}",
        )
    cursor = start + len(exact_bytes(line_text[: column - 1], encoding))
    before = data[max(0, cursor - WINDOW_BYTES) : cursor]
    after = data[cursor : cursor + WINDOW_BYTES]
    if cursor > WINDOW_BYTES:  # begin at a whole line, hence at a whole character
        before = before[before.find(b"\n") + 1 :]
    elif before.startswith(b"\xef\xbb\xbf"):
        before = before[3:]
    if len(after) == WINDOW_BYTES:
        after = after[: after.rfind(b"\n") + 1]
    crlf = data.count(b"\r\n", 0, WINDOW_BYTES) * 2 > data.count(b"\n", 0, WINDOW_BYTES)
    return Document(
        prefix=readable_text(before, encoding).replace("\r\n", "\n"),
        suffix=readable_text(after, encoding).replace("\r\n", "\n"),
        line=location.line,
        column=column,
        newline="\r\n" if crlf else "\n",
        encoding=encoding,
        offset=cursor,
    )


def _line_span(data: bytes, location: Location) -> tuple[int, int]:
    """The byte span of the line without its line end. The empty last line counts."""
    start = 0
    for _ in range(location.line - 1):
        newline = data.find(b"\n", start)
        if newline == -1:
            count = data.count(b"\n") + 1
            raise LocationError(
                f"{location.file} has {count} lines, there is no line {location.line}",
                f"the last line is {location.file}:{count}",
            )
        start = newline + 1
    end = data.find(b"\n", start)
    end = len(data) if end == -1 else end
    if end > start and data[end - 1] == 0x0D:
        end -= 1
    return start, end
